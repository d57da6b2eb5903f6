//! Golden pixels that `scripts/golden/augment.py` made, for tests.

use in18_image::Size;

/// One check.
pub(crate) struct Golden {
    pub size: Size,
    /// What is random in a run, such as `0.5,3,4`.
    pub parameters: &'static str,
    /// The share that a batch's labels get.
    pub share: Option<f32>,
    /// (N, H, W, 3)
    pub before: Vec<u8>,
    pub after: Vec<u8>,
}

/// All checks of one kind; never none.
pub(crate) fn of(kind: &str) -> Vec<Golden> {
    let lines = include_str!("../tests/golden/augment.tsv").lines();
    let all: Vec<Golden> = lines.filter_map(|line| parse(line, kind)).collect();
    assert!(!all.is_empty(), "{kind}");
    all
}

fn parse(line: &'static str, kind: &str) -> Option<Golden> {
    let columns: Vec<&str> = line.split('\t').collect();
    let [own, width, height, parameters, share, before, after] = columns[..] else { panic!("{line}") };
    let size = Size::new(width.parse().unwrap(), height.parse().unwrap());
    let (before, after) = (bytes(before), bytes(after));
    (own == kind).then(|| Golden { size, parameters, share: share.parse().ok(), before, after })
}

fn bytes(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

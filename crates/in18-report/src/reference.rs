//! Published results to compare with, as data.

/// A published epoch table.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// Its name in a legend.
    pub name: &'static str,
    /// Where the numbers come from.
    pub source: &'static str,
    /// Its epochs in order.
    pub epochs: Vec<ReferenceEpoch>,
}

/// A row of a published table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReferenceEpoch {
    /// Counted from 1, as published.
    pub epoch: usize,
    /// Hours since the start.
    pub hours: f64,
    /// Percent.
    pub top1: f64,
    /// Percent.
    pub top5: f64,
}

impl Reference {
    /// The names that [`by_name`](Self::by_name) knows.
    pub const NAMES: [&str; 1] = ["seed"];

    /// A reference by its name; `seed` is the 27-epoch run on eight Titan RTX.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        (name == "seed").then(|| Self {
            name: "reference: 8 × Titan RTX",
            source: "Lambda, “Reproduce Fast.ai/DIUx imagenet18 with a Titan RTX server” (2019): ResNet-50, ImageNet, fp16",
            epochs: include_str!("../data/seed.tsv").lines().filter_map(parse).collect(),
        })
    }
}

/// A row; `None` for a comment.
fn parse(line: &str) -> Option<ReferenceEpoch> {
    let mut fields = line.split('\t');
    let epoch = fields.next()?.parse().ok()?;
    let mut number = || fields.next()?.parse().ok();
    Some(ReferenceEpoch { epoch, hours: number()?, top1: number()?, top5: number()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_has_all_its_epochs() {
        let seed = Reference::by_name("seed").unwrap();
        assert!(seed.epochs.iter().map(|epoch| epoch.epoch).eq(1..=27));
        assert!(seed.epochs.is_sorted_by(|a, b| a.hours < b.hours));
        let last = seed.epochs[26];
        assert_eq!((last.hours, last.top1, last.top5), (2.3657, 75.9179, 93.0179));
        assert_eq!(Reference::by_name("other"), None);
    }
}

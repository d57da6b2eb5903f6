//! From what labels say to numbers of classes.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::MAX_CLASSES;

/// What an image is labelled with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Label {
    /// The number of a class.
    Number(u32),
    /// Its name.
    Class(String),
}

impl Label {
    /// A label as text says it.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?.trim();
        if text.is_empty() || text.contains(char::is_control) {
            return None;
        }
        match text.parse() {
            Ok(number) => (number < MAX_CLASSES).then_some(Self::Number(number)),
            Err(_) => Some(Self::Class(text.to_owned())),
        }
    }
}

/// Classes, and the number of each image's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Labelled {
    pub classes: Vec<String>,
    pub numbers: Vec<u32>,
}

/// Numbers `labels`. Names are numbered in their order, numbers stay. A class that is a number is
/// named after the folder that its images, and no others, lie in; if any class has no such folder,
/// every class is named by its number.
pub(super) fn number_labels<'a>(
    labels: &[Label],
    folders: impl Iterator<Item = Option<&'a str>>,
) -> Result<Labelled, String> {
    let mut names = BTreeSet::new();
    let mut numbers = Vec::with_capacity(labels.len());
    for label in labels {
        match label {
            Label::Class(name) => {
                names.insert(name.as_str());
            }
            Label::Number(number) => numbers.push(*number),
        }
    }
    if names.is_empty() {
        return Ok(Labelled { classes: names_of_numbers(&numbers, folders), numbers });
    }
    if !numbers.is_empty() {
        return Err(format!("{} numbers and {} names", numbers.len(), labels.len() - numbers.len()));
    }
    let classes: Vec<String> = names.into_iter().map(str::to_owned).collect();
    let number = |label: &Label| match label {
        Label::Class(name) => classes.binary_search(name).unwrap_or(0) as u32,
        Label::Number(number) => *number,
    };
    Ok(Labelled { numbers: labels.iter().map(number).collect(), classes })
}

fn names_of_numbers<'a>(numbers: &[u32], folders: impl Iterator<Item = Option<&'a str>>) -> Vec<String> {
    let count = numbers.iter().max().map_or(0, |&most| most + 1);
    let mut pairs: BTreeMap<u32, &str> = BTreeMap::new();
    let mut agree = true;
    for (&number, folder) in numbers.iter().zip(folders) {
        match folder {
            Some(folder) => agree &= *pairs.entry(number).or_insert(folder) == folder,
            None => agree = false,
        }
    }
    let distinct: BTreeSet<&str> = pairs.values().copied().collect();
    if agree && distinct.len() == count as usize && pairs.len() == count as usize {
        return pairs.into_values().map(str::to_owned).collect();
    }
    (0..count).map(|number| number.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_numbers_or_names() {
        assert_eq!(Label::parse(b"17\n"), Some(Label::Number(17)));
        assert_eq!(Label::parse(b" n02 "), Some(Label::Class("n02".to_owned())));
        for no_label in [&b""[..], b"\n", b"\xff", b"a\tb", b"4000000"] {
            assert_eq!(Label::parse(no_label), None);
        }
    }

    #[test]
    fn names_are_numbered_in_their_order_and_numbers_stay() {
        let class = |name: &str| Label::Class(name.to_owned());
        let names = number_labels(&[class("b"), class("a"), class("b")], [None; 3].into_iter()).unwrap();
        assert_eq!(names, Labelled { classes: vec!["a".to_owned(), "b".to_owned()], numbers: vec![1, 0, 1] });
        assert!(number_labels(&[class("b"), Label::Number(0)], [None; 2].into_iter()).is_err());

        let number = |folders: [Option<&str>; 3]| {
            let labels = [2, 0, 1].map(Label::Number);
            number_labels(&labels, folders.into_iter()).unwrap()
        };
        assert_eq!(number([Some("c"), Some("a"), Some("b")]).classes, ["a", "b", "c"]);
        assert_eq!(number([Some("c"), Some("a"), Some("a")]).classes, ["0", "1", "2"]);
        assert_eq!(number([Some("c"), None, Some("a")]).classes, ["0", "1", "2"]);
        assert_eq!(number([None; 3]).numbers, [2, 0, 1]);
    }
}

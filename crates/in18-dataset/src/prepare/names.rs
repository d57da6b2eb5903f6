//! What prepared images are called.

use std::path::Path;

/// Bytes of a class's name in a path: with an image's name, `/` and ending they fit into a tar
/// header's field.
const CLASS_BYTES: usize = 100;
const NAME_BYTES: usize = 80;

/// What an image is called, without folder and ending: its number, which makes the name unlike all
/// others, and the name it had.
pub(super) fn stem(name: &Path, number: u32) -> String {
    let stem = name.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    // A copy of shards keeps the number of the first copy out.
    let stem = match stem.split_once('-') {
        Some((digits, rest)) if digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit()) => rest,
        _ => &stem,
    };
    format!("{number:08}-{}", plain(stem, NAME_BYTES))
}

/// The number in a name that [`stem`] made, with folder and ending.
pub(super) fn number(name: &str) -> Option<u32> {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.split_once('-').and_then(|(digits, _)| digits.parse().ok())
}

/// The folder of a class: its name, if that means nothing special in a path; or else a plain form
/// of the name and the label, so that no two classes share a folder.
pub(super) fn class_folder(class: &str, label: usize) -> String {
    let plain = plain(class, CLASS_BYTES);
    if plain == class { plain } else { format!("{plain}-{label}") }
}

/// A name that means nothing special in a path or to WebDataset, which splits names at dots.
fn plain(name: &str, most: usize) -> String {
    let mut plain: String =
        name.chars().map(|c| if c.is_alphanumeric() || "-_".contains(c) { c } else { '_' }).collect();
    plain.truncate(plain.floor_char_boundary(most));
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_keep_their_number() {
        assert_eq!(stem(Path::new("n01/a.b c.JPEG"), 7), "00000007-a_b_c");
        assert_eq!(stem(Path::new("n01/00000042-a.jpg"), 7), "00000007-a");
        for number_of_it in [0, 7, u32::MAX] {
            let name = format!("n01/{}.jpg", stem(Path::new("x-1.jpg"), number_of_it));
            assert_eq!(number(&name), Some(number_of_it));
        }
        assert_eq!(number("n01/a.jpg"), None);
    }

    #[test]
    fn folders_of_classes_differ_and_fit_into_a_header() {
        assert_eq!(
            (class_folder("n01", 3), class_folder("..", 3), class_folder("a b", 4)),
            ("n01".into(), "__-3".into(), "a_b-4".into())
        );
        let long = "ü".repeat(300);
        let path = format!("{}/{}.jpg", class_folder(&long, 999_999), stem(Path::new(&long), u32::MAX));
        let mut header = tar::Header::new_ustar();
        header.set_path(&path).unwrap();
        assert_eq!(header.path().unwrap().to_str(), Some(path.as_str()));
    }
}

//! Where a set lies: a folder, or those archives of a folder that belong to one half of the data.

use std::fmt;
use std::path::{Path, PathBuf};

/// A half of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// What is trained on.
    Train,
    /// What a network is judged by.
    Validation,
}

impl fmt::Display for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Half::Train => "train",
            Half::Validation => "validation",
        })
    }
}

impl Half {
    /// Whether an archive that lies beside those of the other half is of this one, by its name.
    pub(crate) fn has(self, file: &str) -> bool {
        let (train, validation) = (file.rfind("train"), file.rfind("val"));
        match self {
            Half::Train => train.is_some() && train >= validation,
            Half::Validation => validation.is_some() && validation > train,
        }
    }
}

/// A folder that holds a set. Where it holds the archives of both halves, one of the halves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The folder.
    pub folder: PathBuf,
    /// The half whose archives are meant; none for all that lies in the folder.
    pub half: Option<Half>,
}

impl Location {
    /// Whether an archive of the folder belongs to the set.
    pub(crate) fn has(&self, file: &str) -> bool {
        self.half.is_none_or(|half| half.has(file))
    }
}

impl<P: AsRef<Path>> From<P> for Location {
    fn from(folder: P) -> Self {
        Self { folder: folder.as_ref().to_owned(), half: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_belong_to_a_half_by_name() {
        for (file, half) in [
            ("ILSVRC2012_img_train.tar", Some(Half::Train)),
            ("ILSVRC2012_img_val.tar", Some(Half::Validation)),
            ("imagenet1k-validation-03.tar", Some(Half::Validation)),
            ("train-00000-of-00294.parquet", Some(Half::Train)),
            ("ILSVRC2012_devkit_t12.tar", None),
            ("train-val-split-val-0.tar", Some(Half::Validation)),
        ] {
            assert_eq!(Half::Train.has(file), half == Some(Half::Train), "{file}");
            assert_eq!(Half::Validation.has(file), half == Some(Half::Validation), "{file}");
        }
    }
}

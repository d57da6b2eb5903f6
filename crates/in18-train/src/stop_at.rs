//! `--stop-at`: the accuracy at which a run ends before the end of its plan. It does not change what
//! is learnt until then, so it is no part of the recipe. It is a part of a run's
//! [`Progress`](crate::Progress), so that a continued run stops there, too.

use std::fmt;
use std::str::FromStr;

use in18_record::EpochRecord;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An accuracy of the validation. In text `top5=93`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StopAt {
    /// Which accuracy.
    pub accuracy: Accuracy,
    /// The least value that ends the run, in percent.
    pub percent: f64,
}

/// An accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accuracy {
    /// The share of images whose best guess is right.
    Top1,
    /// The share of images with the right class among the best five.
    Top5,
}

impl StopAt {
    /// What an epoch reached, in percent.
    pub fn value(&self, epoch: &EpochRecord) -> f64 {
        match self.accuracy {
            Accuracy::Top1 => epoch.top1,
            Accuracy::Top5 => epoch.top5,
        }
    }

    /// The first of the epochs that reached the accuracy.
    pub fn first<'a>(&self, epochs: &'a [EpochRecord]) -> Option<&'a EpochRecord> {
        epochs.iter().find(|epoch| self.value(epoch) >= self.percent)
    }

    /// The epoch that came nearest; the first of several.
    pub fn nearest<'a>(&self, epochs: &'a [EpochRecord]) -> Option<&'a EpochRecord> {
        epochs.iter().rev().max_by(|a, b| self.value(a).total_cmp(&self.value(b)))
    }
}

impl fmt::Display for StopAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.accuracy {
            Accuracy::Top1 => "top1",
            Accuracy::Top5 => "top5",
        };
        write!(f, "{name}={}", self.percent)
    }
}

impl FromStr for StopAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected top1=PERCENT or top5=PERCENT, above 0 and up to 100, such as top5=93".to_owned();
        let (name, percent) = text.split_once('=').ok_or_else(wrong)?;
        let accuracy = match name {
            "top1" => Accuracy::Top1,
            "top5" => Accuracy::Top5,
            _ => return Err(wrong()),
        };
        let percent = percent.parse().ok().filter(|&percent| percent > 0.0 && percent <= 100.0).ok_or_else(wrong)?;
        Ok(StopAt { accuracy, percent })
    }
}

impl Serialize for StopAt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StopAt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(epoch: usize, top5: f64) -> EpochRecord {
        let (hours, size, images_seen, skipped) = (0.1, 32, 1, 0);
        let (train_loss, train_top1, train_top5, val_loss, top1) = (1.0, 1.0, 1.0, 1.0, 1.0);
        let (train_seconds, data_seconds, eval_seconds, images_per_s) = (1.0, 0.0, 1.0, 1.0);
        EpochRecord {
            epoch,
            hours,
            images_seen,
            size,
            train_loss,
            train_top1,
            train_top5,
            val_loss,
            top1,
            top5,
            train_seconds,
            data_seconds,
            eval_seconds,
            images_per_s,
            skipped,
        }
    }

    #[test]
    fn an_accuracy_is_a_name_and_a_percentage() {
        for text in ["top5=93", "top1=0.1", "top1=100"] {
            let stop: StopAt = text.parse().unwrap();
            assert_eq!(stop.to_string(), text);
            assert_eq!(serde_json::from_str::<StopAt>(&serde_json::to_string(&stop).unwrap()).unwrap(), stop);
        }
        for text in ["", "93", "top5", "top5=", "top5=101", "top5=0", "top5=-1", "top5=nan", "top5=93%", "top2=9"] {
            assert!(text.parse::<StopAt>().unwrap_err().starts_with("expected top1=PERCENT or "), "{text}");
        }
    }

    #[test]
    fn the_first_evaluation_that_reaches_it_counts() {
        let top5 = [f64::NAN, 90.0, 93.0, 92.0, 94.0, 94.0];
        let epochs: Vec<EpochRecord> = top5.iter().enumerate().map(|(epoch, &top5)| record(epoch, top5)).collect();
        let stop = |text: &str| text.parse::<StopAt>().unwrap();
        let first = |text: &str| stop(text).first(&epochs).map(|record| record.epoch);
        assert_eq!([first("top5=93"), first("top5=93.5"), first("top5=95")], [Some(2), Some(4), None]);
        assert_eq!(first("top1=1"), Some(0));
        assert_eq!(stop("top5=99").nearest(&epochs[1..]).map(|record| record.epoch), Some(4));
        assert_eq!(stop("top5=99").nearest(&[]), None);
    }
}

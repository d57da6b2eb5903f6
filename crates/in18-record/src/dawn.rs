//! DAWNBench's table and the curves of a run's schedule, from TensorBoard's scalars.
//!
//! The table is that of the original's `dawn/prepare_dawn_tsv.py`: one line for each validation, up
//! to the first one at 93 % top-5. Hours are differences of the events' own times from that of the
//! event `first`.

use crate::event_files::Scalar;

/// The top-5 accuracy, in percent, at which DAWNBench's clock stops.
pub const TARGET_TOP5: f64 = 93.0;

const SECONDS_AN_HOUR: f64 = 3600.0;

/// Why no table can be made from scalars. One line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DawnError {
    /// A tag that the table needs is not there.
    #[error("expected scalars with the tag `{tag}`, got {got}: give --events the files of an imagenet18 run")]
    NoTag {
        /// The tag.
        tag: &'static str,
        /// The tags that are there.
        got: String,
    },
    /// A validation without one of its values.
    #[error("expected `{tag}` for the validation at {step} images, got none: the run ended while it was written")]
    Incomplete {
        /// The tag.
        tag: &'static str,
        /// TensorBoard's step.
        step: i64,
    },
}

/// A curve of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// Learning rate.
    Lr,
    /// Images a step, of all devices.
    Batch,
    /// Side of the training image, pixels.
    Size,
}

impl Curve {
    fn tag(self) -> &'static str {
        match self {
            Curve::Lr => "sizes/lr",
            Curve::Batch => "sizes/batch",
            Curve::Size => "sizes/image",
        }
    }

    /// The name that the original's scripts give the value.
    fn key(self) -> &'static str {
        match self {
            Curve::Lr => "learning_rate",
            Curve::Batch => "batch_size",
            Curve::Size => "image_size",
        }
    }
}

/// The table, separated by tabs, under DAWNBench's header: epoch counted from 1, hours, top-1 and
/// top-5 in percent. With `ignore_eval`, hours leave out the validations' time, which DAWNBench
/// does not count.
///
/// # Errors
/// [`DawnError`].
pub fn tsv(scalars: &[Scalar], ignore_eval: bool) -> Result<String, DawnError> {
    let first = find(scalars, "first")?[0].wall_time;
    let top5 = find(scalars, "losses/test_5")?;
    let at = |tag: &'static str, step: i64| {
        let found = find(scalars, tag)?.into_iter().find(|scalar| scalar.step == step);
        found.map(|scalar| scalar.value).ok_or(DawnError::Incomplete { tag, step })
    };
    let mut text = String::from("epoch\thours\ttop1Accuracy\ttop5Accuracy\n");
    let mut evaluating = 0.0;
    for (index, &Scalar { step, wall_time, value, .. }) in top5.into_iter().enumerate() {
        let top1 = at("losses/test_1", step)?;
        if ignore_eval {
            evaluating += at("times/eval_sec", step)?;
        }
        let hours = (wall_time - first - evaluating) / SECONDS_AN_HOUR;
        text += &format!("{}\t{hours:.6}\t{top1:.4}\t{value:.4}\n", index + 1);
        if value >= TARGET_TOP5 {
            break;
        }
    }
    Ok(text)
}

/// A curve, one line for each point, as the original's `dawn/prepare_*.py` print them for
/// DAWNBench's JSON: `{"learning_rate": 0.1, "example": 0},` with the number of training images
/// seen. The batch is that of all devices.
///
/// # Errors
/// [`DawnError::NoTag`].
pub fn curve(scalars: &[Scalar], curve: Curve) -> Result<String, DawnError> {
    let worlds = match curve {
        Curve::Batch => find(scalars, "sizes/world").unwrap_or_default(),
        Curve::Lr | Curve::Size => Vec::new(),
    };
    // The number of devices at that point: a continued run may have another.
    let world =
        |step| worlds.iter().rfind(|world| world.step <= step).or(worlds.first()).map_or(1.0, |world| world.value);
    let lines = find(scalars, curve.tag())?.into_iter().map(|scalar| {
        // An event file holds 32 bits.
        let value = (scalar.value * world(scalar.step)) as f32;
        format!("{{\"{}\": {value}, \"example\": {}}},\n", curve.key(), scalar.step)
    });
    Ok(lines.collect())
}

/// The scalars of a tag; at least one.
fn find<'a>(scalars: &'a [Scalar], tag: &'static str) -> Result<Vec<&'a Scalar>, DawnError> {
    let found: Vec<&Scalar> = scalars.iter().filter(|scalar| scalar.tag == tag).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let mut tags: Vec<&str> = scalars.iter().map(|scalar| scalar.tag.as_str()).collect();
    tags.sort_unstable();
    tags.dedup();
    let got = match tags.as_slice() {
        [] => "no scalars at all".to_owned(),
        [one] => format!("only `{one}`"),
        [one, ..] => format!("{} others such as `{one}`", tags.len()),
    };
    Err(DawnError::NoTag { tag, got })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two validations below the target, two above; each took 36 s.
    fn run() -> Vec<Scalar> {
        let scalar = |tag: &str, step, wall_time, value| Scalar { tag: tag.to_owned(), step, wall_time, value };
        let mut scalars = vec![scalar("first", 0, 1000.0, 1000.0), scalar("sizes/image", 0, 1001.0, 128.0)];
        for (epoch, top5) in [(1, 60.0), (2, 92.9999), (3, 93.0), (4, 95.0)] {
            let (step, time) = (epoch * 100, 1000.0 + 360.0 * epoch as f64);
            scalars.push(scalar("losses/test_1", step, time, top5 - 20.0));
            scalars.push(scalar("losses/test_5", step, time, top5));
            scalars.push(scalar("times/eval_sec", step, time, 36.0));
        }
        scalars
    }

    #[test]
    fn the_table_ends_at_the_target() {
        insta::assert_snapshot!(tsv(&run(), false).unwrap().replace('\t', "→"), @r"
        epoch→hours→top1Accuracy→top5Accuracy
        1→0.100000→40.0000→60.0000
        2→0.200000→72.9999→92.9999
        3→0.300000→73.0000→93.0000
        ");
    }

    #[test]
    fn validation_time_can_be_left_out() {
        insta::assert_snapshot!(tsv(&run(), true).unwrap().replace('\t', "→"), @r"
        epoch→hours→top1Accuracy→top5Accuracy
        1→0.090000→40.0000→60.0000
        2→0.180000→72.9999→92.9999
        3→0.270000→73.0000→93.0000
        ");
    }

    #[test]
    fn curves_are_as_the_original_prints_them() {
        assert_eq!(curve(&run(), Curve::Size).unwrap(), "{\"image_size\": 128, \"example\": 0},\n");
        let scalar = |tag: &str, value| Scalar { tag: tag.to_owned(), step: 64, wall_time: 1.0, value };
        let eight = [scalar("sizes/world", 8.0), scalar("sizes/batch", 512.0)];
        assert_eq!(curve(&eight, Curve::Batch).unwrap(), "{\"batch_size\": 4096, \"example\": 64},\n");
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(tsv(&[], false), Err(DawnError::NoTag { tag: "first", got: "no scalars at all".into() }));
        let says = curve(&run(), Curve::Lr).unwrap_err().to_string();
        assert!(says.contains("`sizes/lr`") && says.contains("5 others such as `first`"), "{says}");
        let mut cut = run();
        cut.retain(|scalar| scalar.tag != "losses/test_1" || scalar.step != 200);
        assert_eq!(tsv(&cut, false), Err(DawnError::Incomplete { tag: "losses/test_1", step: 200 }));
    }
}

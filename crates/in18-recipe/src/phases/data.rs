//! The data keys of a phase: which images, at which size and batch.

use std::collections::BTreeMap;
use std::fmt;

use super::{Course, Epochs, Key, MAX_SIZE, PhaseFault};

/// The data keys of a phase. What is `None` was not written: the plan fills in the default or,
/// under `keep_dl`, what is in force.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DataPhase {
    /// `sz`: square training size, and validation size, in pixels. A pair goes from the first size,
    /// at the phase's start, to the second, at its end. Needed unless `keep_dl`.
    pub size: Option<Course<usize>>,
    /// `every`: with a pair of sizes, the sizes between them are the multiples of this number of
    /// pixels. A step has the multiple that is nearest to the line between the two sizes.
    pub every: Option<usize>,
    /// `bs`: images per device and step.
    pub batch: Batch,
    /// `bs_at`: the size at which a step has `bs` images. At any other size it has as many as make
    /// no more pixels than these, but one at least.
    pub batch_at: Option<usize>,
    /// `trndir`: suffix appended to the data path, such as `-sz/160`; default ''.
    pub train_dir: Option<String>,
    /// `valdir`: the same for validation; default: what `trndir` is.
    pub val_dir: Option<String>,
    /// `min_scale`: lower bound of the random crop's share of the image's area, in (0, 1]. A pair
    /// moves with the size: it has the first value at the first size, the second at the second.
    pub min_scale: Option<Course<f64>>,
    /// `rect_val`: validate on rectangular batches.
    pub rect_val: Option<bool>,
    /// `keep_dl`: keep size and folders, change only the training batch.
    pub keep_dl: bool,
}

/// A batch as written, in images per device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Batch {
    /// The same at every size, or by `bs_at`.
    One(usize),
    /// By size in pixels: an entry holds from its size on, up to the next larger entry's.
    BySize(BTreeMap<usize, usize>),
}

impl Default for Batch {
    fn default() -> Self {
        Batch::One(0)
    }
}

impl From<usize> for Batch {
    fn from(images: usize) -> Self {
        Batch::One(images)
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Batch::One(images) => write!(f, "{images}"),
            Batch::BySize(by_size) => {
                let entries: Vec<String> = by_size.iter().map(|(size, images)| format!("{size}: {images}")).collect();
                write!(f, "{{{}}}", entries.join(", "))
            }
        }
    }
}

impl DataPhase {
    /// The suffix of the training folder.
    pub(crate) fn train_suffix(&self) -> &str {
        self.train_dir.as_deref().unwrap_or("")
    }

    /// The suffix of the validation folder.
    pub(crate) fn val_suffix(&self) -> &str {
        self.val_dir.as_deref().unwrap_or(self.train_suffix())
    }

    /// The sizes in pixels that the phase trains at, in order; none under `keep_dl`.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        let (from, to) = match self.size {
            None => return Vec::new(),
            Some(Course::Constant(size)) => return vec![size],
            Some(Course::Linear(from, to)) => (from, to),
        };
        let every = self.every.unwrap_or(1).max(1);
        let mut sizes: Vec<usize> = (from.min(to)..=from.max(to)).step_by(every).collect();
        if from > to {
            sizes.reverse();
        }
        sizes
    }

    /// Images per device and step at a size, which is `kept` under `keep_dl`.
    pub(crate) fn batch_at_size(&self, size: usize) -> usize {
        match (&self.batch, self.batch_at) {
            (Batch::One(images), None) => *images,
            (Batch::One(images), Some(at)) => (images * at * at / (size * size)).max(1),
            (Batch::BySize(by_size), _) => by_size.range(..=size).next_back().map_or(0, |(_, images)| *images),
        }
    }

    /// The crop's lower bound at one of the phase's sizes; `None` if the phase says none.
    pub(crate) fn min_scale_at(&self, size: usize) -> Option<f64> {
        Some(match (self.min_scale?, self.size) {
            (Course::Constant(share), _) => share,
            (Course::Linear(from, to), Some(Course::Linear(first, last))) if first != last => {
                let t = (size as f64 - first as f64) / (last as f64 - first as f64);
                // Exact at both ends, and never beyond them.
                (from * (1.0 - t) + to * t).clamp(from.min(to), from.max(to))
            }
            (Course::Linear(from, _), _) => from,
        })
    }

    pub(super) fn check(&self, ep: Epochs) -> Result<(), PhaseFault> {
        self.check_size(ep)?;
        self.check_batch()?;
        let is_share = |share: f64| share > 0.0 && share <= 1.0;
        match self.min_scale {
            Some(Course::Linear(..)) if !matches!(self.size, Some(Course::Linear(..))) => {
                Err(PhaseFault::new(Key::MinScale, "one share, because 'sz' is not a pair", "a pair"))
            }
            Some(course) if !course.ends().into_iter().all(is_share) => {
                Err(PhaseFault::new(Key::MinScale, "a share of the area above 0 and up to 1", course))
            }
            _ => Ok(()),
        }
    }

    fn check_size(&self, ep: Epochs) -> Result<(), PhaseFault> {
        let Some(size) = self.size else {
            if self.keep_dl {
                return Ok(());
            }
            let expected = "'sz' beside 'bs' (or 'keep_dl': True to change only the batch)";
            return Err(PhaseFault::new(None, expected, format!("no size from epoch {} on", ep.start())));
        };
        if !size.ends().into_iter().all(|size| (1..=MAX_SIZE).contains(&size)) {
            return Err(PhaseFault::new(Key::Sz, format!("a size from 1 to {MAX_SIZE} pixels"), size));
        }
        let Course::Linear(from, to) = size else {
            return match self.every {
                Some(_) => Err(PhaseFault::new(Key::Every, "a pair of sizes in 'sz' beside it", size)),
                None => Ok(()),
            };
        };
        let Some(every) = self.every else {
            let expected = "'every' beside it, the pixels by which a pair of sizes moves";
            return Err(PhaseFault::new(Key::Sz, expected, "none"));
        };
        if self.keep_dl {
            return Err(PhaseFault::new(Key::Sz, "no pair of sizes beside 'keep_dl'", size));
        }
        if every == 0 || from % every != 0 || to % every != 0 {
            let expected = format!("a number of pixels that divides both sizes of {size}");
            return Err(PhaseFault::new(Key::Every, expected, every));
        }
        match ep {
            Epochs::Span(start, end) if start < end => Ok(()),
            _ => Err(PhaseFault::new(Key::Ep, "a pair (start, end), because 'sz' is a pair", ep)),
        }
    }

    fn check_batch(&self) -> Result<(), PhaseFault> {
        let least = "a batch of at least 1 image per device";
        let by_size = match &self.batch {
            Batch::One(0) => return Err(PhaseFault::new(Key::Bs, least, 0)),
            Batch::One(images) => {
                return match self.batch_at {
                    Some(_) if self.keep_dl => Err(PhaseFault::new(Key::BsAt, "'sz' beside it", "'keep_dl'")),
                    Some(at) if at == 0 || at > MAX_SIZE || images.checked_mul(at * at).is_none() => {
                        Err(PhaseFault::new(Key::BsAt, format!("a size from 1 to {MAX_SIZE} pixels"), at))
                    }
                    _ => Ok(()),
                };
            }
            Batch::BySize(by_size) => by_size,
        };
        if by_size.values().any(|&images| images == 0) {
            return Err(PhaseFault::new(Key::Bs, least, &self.batch));
        }
        if self.keep_dl {
            return Err(PhaseFault::new(Key::Bs, "one number, because 'keep_dl' keeps the size", &self.batch));
        }
        if let Some(at) = self.batch_at {
            return Err(PhaseFault::new(Key::BsAt, "none, because 'bs' names sizes", at));
        }
        let sizes = self.sizes();
        if let Some(size) = by_size.keys().find(|size| !sizes.contains(size)) {
            return Err(PhaseFault::new(Key::Bs, "sizes that the phase trains at", format!("one for {size} pixels")));
        }
        match sizes.iter().min() {
            Some(least) if !by_size.contains_key(least) => {
                let expected = format!("a batch for {least} pixels, the smallest size");
                Err(PhaseFault::new(Key::Bs, expected, &self.batch))
            }
            _ => Ok(()),
        }
    }
}

//! Which images, at which size and batch: what data phases set, from one place in the run to the
//! next.

use super::error::PlanError;
use super::{PlanInput, numbered};
use crate::phases::{Course, DataPhase, Epochs, Phases};
use crate::place::{SLACK, shown};
use crate::recipe::{Evaluate, EvaluationSize, Recipe};
use crate::value::quote;

/// What holds from one place in the run up to the next: of a phase whose size moves there are as
/// many as it has sizes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DataInForce {
    /// The phase that set it, for messages.
    pub phase: usize,
    /// Where it begins, in epochs.
    pub start: f64,
    /// How the phase starts here; `None`: it only changes the size here.
    pub starts: Option<Starts>,
    /// Square size in pixels.
    pub size: usize,
    /// Images per device and step.
    pub batch: usize,
    /// Lower bound of the random crop's share of the area.
    pub min_scale: f64,
    /// Training images in the whole set.
    pub images: usize,
    pub train_dir: String,
    pub val_dir: String,
    pub val_size: usize,
    pub val_batch: usize,
    pub rect_val: bool,
}

/// How a data phase starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Starts {
    /// It loads a set (anew).
    Loading,
    /// It changes only the batch (`keep_dl`).
    Keeping,
    /// It starts within an epoch, whose images it keeps.
    Within,
}

/// A data phase, with its number for messages.
type Numbered<'a> = (usize, Epochs, &'a DataPhase);

/// The data phases in the order of their starts, which all differ.
pub(super) fn in_order(phases: &Phases) -> Result<Vec<Numbered<'_>>, PlanError> {
    let mut starts: Vec<Numbered<'_>> = Vec::new();
    for (number, phase) in numbered(phases) {
        let Some(data) = &phase.data else { continue };
        let epoch = phase.ep.start();
        let at = starts.partition_point(|(_, ep, _)| ep.start() < epoch);
        match starts.get(at) {
            Some((first, ep, _)) if ep.start() == epoch => {
                return Err(PlanError::SameEpoch { first: *first, second: number, epoch });
            }
            _ => starts.insert(at, (number, phase.ep, data)),
        }
    }
    Ok(starts)
}

/// What is in force over a run of `end` epochs, in order, from epoch 0 on.
pub(super) fn in_force(
    phases: &[Numbered<'_>],
    recipe: &Recipe,
    input: &PlanInput,
    end: f64,
) -> Result<Vec<DataInForce>, PlanError> {
    let mut found: Vec<DataInForce> = Vec::new();
    for (index, &(phase, ep, data)) in phases.iter().enumerate() {
        if ep.start() + SLACK >= end {
            break;
        }
        let next = phases.get(index + 1).map(|(number, next, _)| (*number, next.start()));
        check_ramp(phase, ep, data, next, end)?;
        let kept = found.last();
        let base = match kept {
            None if data.keep_dl => return Err(PlanError::NothingToKeep { phase }),
            Some(kept) if data.keep_dl => keep(kept, phase, ep.start(), data)?,
            kept => load(kept, phase, ep.start(), data, input)?,
        };
        if data.keep_dl {
            found.push(base);
            continue;
        }
        for (place, size) in ramp(ep, data) {
            let batch = data.batch_at_size(size);
            found.push(DataInForce {
                start: place,
                starts: base.starts.filter(|_| place == ep.start()),
                size,
                batch,
                min_scale: data.min_scale_at(size).unwrap_or(recipe.augment.min_scale),
                val_batch: val_batch(size, batch),
                ..base.clone()
            });
        }
    }
    found.iter_mut().for_each(|data| data.validate_as(&recipe.evaluate));
    Ok(found)
}

impl DataInForce {
    /// What the recipe says of validation holds before what follows from phases.
    fn validate_as(&mut self, evaluate: &Evaluate) {
        self.rect_val = evaluate.rectangular.beside(self.rect_val);
        self.val_size = evaluate.size.beside(self.size);
        if let EvaluationSize::Pixels(size) = evaluate.size {
            self.val_batch = own_val_batch(size);
        }
    }
}

/// Where each of the phase's sizes begins. A size holds while it is nearest to the line from the
/// first size to the last, which goes over the phase's epochs.
fn ramp(ep: Epochs, data: &DataPhase) -> Vec<(f64, usize)> {
    let sizes = data.sizes();
    let moves = (sizes.len().saturating_sub(1)) as f64;
    let (start, end) = (ep.start(), ep.last_named());
    let place = |index: usize| match index {
        0 => start,
        index => start + (index as f64 - 0.5) / moves * (end - start),
    };
    sizes.into_iter().enumerate().map(|(index, size)| (place(index), size)).collect()
}

/// Checks that nothing ends a phase before it has reached its last size.
fn check_ramp(
    phase: usize,
    ep: Epochs,
    data: &DataPhase,
    next: Option<(usize, f64)>,
    end: f64,
) -> Result<(), PlanError> {
    let Some(Course::Linear(_, size)) = data.size else { return Ok(()) };
    let reached = ep.last_named();
    match next {
        Some((next, epoch)) if epoch + SLACK < reached => {
            Err(PlanError::CutByPhase { phase, size, reached, next, epoch })
        }
        _ if end + SLACK < reached => Err(PlanError::CutByEnd { phase, size, reached, end: shown(end) }),
        _ => Ok(()),
    }
}

/// A phase that loads its images. Size, batch and crop are filled in for each of its sizes.
fn load(
    before: Option<&DataInForce>,
    phase: usize,
    start: f64,
    data: &DataPhase,
    input: &PlanInput,
) -> Result<DataInForce, PlanError> {
    let (train_dir, val_dir) = (data.train_suffix().to_owned(), data.val_suffix().to_owned());
    let rect_val = data.rect_val.unwrap_or(false);
    let images = match input.images(&train_dir) {
        None => return Err(PlanError::UnknownSet { phase, train_dir }),
        Some(0) => return Err(PlanError::EmptySet { phase, train_dir }),
        Some(images) => images,
    };
    let within = start.fract() != 0.0;
    if let (true, Some(before)) = (within, before) {
        let changed = [
            ("trndir", before.train_dir != train_dir),
            ("valdir", before.val_dir != val_dir),
            ("rect_val", before.rect_val != rect_val),
        ];
        if let Some((key, _)) = changed.into_iter().find(|(_, changed)| *changed) {
            return Err(PlanError::WithinEpoch { phase, key, epoch: start });
        }
    }
    let starts = Some(if within { Starts::Within } else { Starts::Loading });
    let (size, batch, min_scale, val_size, val_batch) = (0, 0, 0.0, 0, 0);
    Ok(DataInForce {
        phase,
        start,
        starts,
        size,
        batch,
        min_scale,
        images,
        train_dir,
        val_dir,
        val_size,
        val_batch,
        rect_val,
    })
}

/// Changes only the batch. Values that the phase states again must be the kept ones: the original
/// trainer ignored them, which would train on something else than what is written.
fn keep(kept: &DataInForce, phase: usize, start: f64, data: &DataPhase) -> Result<DataInForce, PlanError> {
    fn differs<T: PartialEq>(asked: Option<T>, kept: T, show: impl Fn(T) -> String) -> Option<(String, String)> {
        asked.filter(|asked| *asked != kept).map(|asked| (show(kept), show(asked)))
    }
    let restated = [
        ("sz", differs(data.size, Course::Constant(kept.size), |size| size.to_string())),
        ("trndir", differs(data.train_dir.as_deref(), &kept.train_dir, quote)),
        ("valdir", differs(data.val_dir.as_deref(), &kept.val_dir, quote)),
        ("min_scale", differs(data.min_scale, Course::Constant(kept.min_scale), |share| share.to_string())),
        ("rect_val", differs(data.rect_val, kept.rect_val, |rect| rect.to_string())),
    ];
    for (key, difference) in restated {
        if let Some((kept, asked)) = difference {
            return Err(PlanError::KeptOtherwise { phase, key, kept, asked });
        }
    }
    let starts = Some(if start.fract() == 0.0 { Starts::Keeping } else { Starts::Within });
    Ok(DataInForce { phase, start, starts, batch: data.batch_at_size(kept.size), ..kept.clone() })
}

/// Validation holds no activations for a backward pass, so it takes at least the batch that fits at
/// that size.
fn val_batch(size: usize, batch: usize) -> usize {
    let least = match size {
        128 => 512,
        224 => 256,
        _ => 128,
    };
    batch.max(least)
}

/// The validation batch at a size of its own, whatever the training batch. So batches are the same
/// in every epoch. Beyond the largest size that is in use, a batch has no more pixels than there.
fn own_val_batch(size: usize) -> usize {
    const LARGEST: usize = 288;
    let least = val_batch(size, 1);
    if size > LARGEST { (least * LARGEST * LARGEST / (size * size)).max(1) } else { least }
}

//! One epoch, stretch by stretch: the steps between one change of size, batch, crop or rate and the
//! next.
//!
//! A step has what is in force at the place where it starts: the share of its device's images that
//! the steps before it have seen.

use super::data::DataInForce;
use super::error::PlanError;
use super::rates::Rates;
use super::{PlanInput, Stretch};
use crate::place::SLACK;

/// An epoch's steps.
pub(super) struct Steps {
    /// The steps that are taken.
    pub stretches: Vec<Stretch>,
    /// What is in force in the last step that is taken, by its index.
    pub last: usize,
    /// The number of steps of the whole epoch, also where the run ends within it.
    pub whole: usize,
    /// Images per device of the whole epoch's steps, each with its full batch.
    pub capacity: usize,
}

/// The steps of `epoch`. Each device takes an equal share of the images, padded by wrapping round;
/// its last batch may be partial, unless such a batch is dropped.
pub(super) fn of_epoch(
    epoch: usize,
    data: &[DataInForce],
    rates: &Rates,
    input: &PlanInput,
    drop_last: bool,
) -> Result<Steps, PlanError> {
    let begin = epoch as f64;
    let in_force = |place: f64| data.partition_point(|data| data.start <= place).saturating_sub(1);
    let (images, world) = (data[in_force(begin)].images, input.world);
    let share = images.div_ceil(world);
    let mut steps = Steps { stretches: Vec::new(), last: 0, whole: 0, capacity: 0 };
    let mut seen = 0;
    while seen < share {
        let place = begin + seen as f64 / share as f64;
        // A step that starts at the place of a change, or a rounding before it, starts after it.
        let at = (place + SLACK).min(begin + 1.0 - SLACK);
        let index = in_force(at);
        let &DataInForce { phase, size, batch, min_scale, .. } = &data[index];
        if batch > share {
            return Err(PlanError::BatchTooLarge { phase, epoch, batch, images, world, share });
        }
        let left = if drop_last { (share - seen) / batch } else { (share - seen).div_ceil(batch) };
        if left == 0 {
            break;
        }
        let mut change = data.get(index + 1).map_or(f64::INFINITY, |next| next.start).min(rates.next(at));
        if rates.end > at {
            change = change.min(rates.end);
        }
        if change >= begin + 1.0 - SLACK {
            change = f64::INFINITY;
        }
        // The first step that starts no earlier than the change.
        let until = ((change - SLACK - begin) * share as f64 - seen as f64) / batch as f64;
        let taken = left.min(until.ceil().max(1.0) as usize);
        if at < rates.end {
            let rate = rates.at(at).ok_or(PlanError::NoRate { first: rates.next(at) })?;
            let stretch = Stretch { steps: taken, size, batch, min_scale, lr: rate.curve.clone() };
            match steps.stretches.last_mut() {
                Some(last) if (Stretch { steps: last.steps, ..stretch.clone() }) == *last => {
                    last.steps = last.steps.saturating_add(taken);
                }
                _ => steps.stretches.push(stretch),
            }
            steps.last = index;
        }
        steps.whole = steps.whole.saturating_add(taken);
        steps.capacity = steps.capacity.saturating_add(taken.saturating_mul(batch));
        seen = seen.saturating_add(taken.saturating_mul(batch));
    }
    Ok(steps)
}

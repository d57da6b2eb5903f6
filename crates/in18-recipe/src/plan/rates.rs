//! Which learning rate is in force where, and where the run ends.

use super::error::PlanError;
use super::numbered;
use crate::curve::Curve;
use crate::fault::{Fault, ensure};
use crate::phases::{Epochs, LrPhase, Rate};
use crate::place::{SLACK, shown};
use crate::recipe::Recipe;

/// The rates of a run.
pub(super) struct Rates {
    /// In the order of the text. Of two in force the last listed wins.
    rates: Vec<NumberedRate>,
    /// Where the run ends, in epochs.
    pub end: f64,
}

/// A rate and where it starts.
pub(super) struct NumberedRate {
    /// The phase that set it, for messages; `None`: the optimizer's curve.
    pub phase: Option<usize>,
    start: f64,
    pub curve: Curve,
}

impl Rates {
    /// The rates of the optimizer's curve, if there is one, and else of the phases.
    pub(super) fn of(recipe: &Recipe) -> Result<Self, PlanError> {
        let phases =
            || numbered(&recipe.phases).filter_map(|(number, phase)| phase.lr.map(|lr| (number, phase.ep, lr)));
        let Some(rate) = &recipe.optimizer.rate else { return Self::of_phases(recipe, phases().collect()) };
        if let Some((phase, ..)) = phases().next() {
            return Err(PlanError::TwoRates { phase });
        }
        let own_end = if let Curve::Over(schedule) = rate { schedule.end } else { None };
        let end = recipe.epochs.or(own_end).ok_or(PlanError::NoLength)?;
        let curve = rate.over("optimizer.rate", end)?;
        Ok(Rates { rates: vec![NumberedRate { phase: None, start: 0.0, curve }], end })
    }

    fn of_phases(recipe: &Recipe, phases: Vec<(usize, Epochs, LrPhase)>) -> Result<Self, PlanError> {
        let first = phases.iter().map(|(_, ep, _)| ep.start()).min_by(f64::total_cmp).ok_or(PlanError::NoLrPhase)?;
        let last = phases.iter().map(|(_, ep, _)| ep.last_named()).fold(0.0, f64::max);
        if last == 0.0 {
            return Err(PlanError::NoEpochs);
        }
        let end = recipe.epochs.unwrap_or(last);
        let expected = format!("at most {last}, where the rates of the phases end");
        ensure(end <= last + SLACK, "epochs", &expected, end)?;
        let rates = phases.into_iter().map(|(phase, ep, lr)| NumberedRate {
            phase: Some(phase),
            start: ep.start(),
            curve: curve_of(ep, lr),
        });
        if first > 0.0 {
            return Err(PlanError::NoRate { first });
        }
        Ok(Rates { rates: rates.collect(), end })
    }

    /// The rate in force at a place.
    pub(super) fn at(&self, place: f64) -> Option<&NumberedRate> {
        self.rates.iter().rfind(|rate| rate.start <= place)
    }

    /// The next place after `place` at which a rate starts.
    pub(super) fn next(&self, place: f64) -> f64 {
        self.rates.iter().map(|rate| rate.start).filter(|&start| start > place).fold(f64::INFINITY, f64::min)
    }

    /// The number of epochs, the last of which may be a part of one.
    pub(super) fn epochs(&self) -> usize {
        (self.end - SLACK).ceil().max(1.0) as usize
    }

    /// The momentum of the run.
    pub(super) fn momentum(&self, recipe: &Recipe) -> Result<Curve, Fault> {
        recipe.optimizer.momentum.over("optimizer.momentum", shown(self.end))
    }
}

fn curve_of(ep: Epochs, lr: LrPhase) -> Curve {
    match (lr.rate, ep) {
        (Rate::Linear(from, to), Epochs::Span(start, end)) => {
            Curve::Linear { from, to, start, end, epoch_step: lr.epoch_step }
        }
        // A pair without a pair of epochs was refused by the check of the phase.
        (Rate::Constant(rate) | Rate::Linear(rate, _), _) => Curve::Constant(rate),
    }
}

//! A curve over a run, as a recipe's field writes it: its kind, its values, and where it starts and
//! ends.
//!
//! It knows no phases, images or steps. [`Schedule::check`] holds the rules for the fields alone,
//! [`Schedule::over`] those that need the length of the run.

use std::f64::consts::PI;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, ensure};
use crate::place::{Place, SLACK, shown};
use crate::recipe::single;

/// The shape of a curve. `t` runs from 0, at the end of the warm-up, to 1, at the curve's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `from`.
    Constant,
    /// `from + (to - from)·t`.
    Linear,
    /// `to + (from - to)·(1 + cos πt) / 2`, as PyTorch's `CosineAnnealingLR` without restarts.
    Cosine,
    /// `to + (from - to)·(1 - t) / (½ + ½(1 - t))` (arXiv 2107.04197).
    Rex,
    /// `to + (from - to)·(1 - t)^power`, as PyTorch's `PolynomialLR`.
    Polynomial,
    /// `from`, times `factor` at each of the epochs `at`, as PyTorch's `MultiStepLR`.
    Steps,
    /// From `from` to `peak` over the share `rise` of the curve, then to `to`, which the last step
    /// has, as PyTorch's `OneCycleLR`.
    Cycle,
}

/// How a [cycle](Kind::Cycle) goes from one of its values to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anneal {
    /// Along half a cosine.
    #[default]
    Cosine,
    /// Along a line.
    Linear,
}

/// The share of a cycle in which it rises, where nobody says otherwise: PyTorch's.
const RISE: f64 = 0.3;

/// A curve over a run. Fields that its kind does not take are `None`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Its shape.
    pub kind: Kind,
    /// The value at its start, or at the end of its warm-up.
    pub from: f64,
    /// The value at its end, which it keeps from there on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<f64>,
    /// The exponent of a polynomial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power: Option<f64>,
    /// The epochs of steps, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Vec<f64>>,
    /// What the value is multiplied by at each of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// The value between a cycle's halves. A momentum's is below `from`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak: Option<f64>,
    /// The share of a cycle before its peak, between 0 and 1; default 0.3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rise: Option<f64>,
    /// How a cycle moves; default: along cosines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anneal: Option<Anneal>,
    /// The length of a linear warm-up in epochs, at the curve's start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup: Option<f64>,
    /// The value that the warm-up starts at; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_from: Option<f64>,
    /// The same as a share of `from`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_share: Option<f64>,
    /// Epoch at which the curve starts; default 0. Before it, the value is that of its start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<f64>,
    /// Epoch at which it ends; default: the end of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<f64>,
    /// The value moves once an epoch: each step has the value of its epoch's start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub epoch_step: bool,
}

/// Which values a field may have, and how a message says it.
pub(crate) struct Range {
    /// The field, such as `optimizer.rate`.
    pub field: &'static str,
    /// What is expected.
    pub expected: &'static str,
    /// Whether a value is in the range.
    pub holds: fn(f64) -> bool,
}

impl Range {
    /// Checks that a number is in the range; `part`: `.to` for the field's part of that name.
    pub(crate) fn check(&self, part: &str, value: f64) -> Result<(), Fault> {
        ensure((self.holds)(value), &format!("{}{part}", self.field), self.expected, value)
    }
}

impl Schedule {
    /// The highest of the values that it goes through.
    pub(crate) fn highest(&self) -> f64 {
        let last = self.at.as_ref().map_or(self.from, |at| self.after_steps(at.len()));
        let others = [self.to, self.peak, self.warmup.map(|_| self.first()), Some(last)];
        others.into_iter().flatten().fold(self.from, f64::max)
    }

    /// The value after so many of its steps.
    fn after_steps(&self, steps: usize) -> f64 {
        self.from * self.factor.unwrap_or(1.0).powi(steps as i32)
    }

    /// A curve of a kind that needs no more than its ends, over the whole run.
    pub fn new(kind: Kind, from: f64, to: impl Into<Option<f64>>) -> Self {
        let (to, epoch_step) = (to.into(), false);
        let (power, at, factor, peak, rise, anneal) = (None, None, None, None, None, None);
        let (warmup, warmup_from, warmup_share, start, end) = (None, None, None, None, None);
        Schedule {
            kind,
            from,
            to,
            power,
            at,
            factor,
            peak,
            rise,
            anneal,
            warmup,
            warmup_from,
            warmup_share,
            start,
            end,
            epoch_step,
        }
    }

    /// Checks the rules that need not know the run. `range` is where all values must lie.
    pub(crate) fn check(&self, range: &Range) -> Result<(), Fault> {
        self.check_parts(range.field)?;
        range.check(".from", self.from)?;
        self.to.map_or(Ok(()), |to| range.check(".to", to))?;
        self.peak.map_or(Ok(()), |peak| range.check(".peak", peak))?;
        self.warmup_from.map_or(Ok(()), |from| range.check(".warmup_from", from))?;
        let field = |part: &str| format!("{}.{part}", range.field);
        let is_positive = |number: f64| number.is_finite() && number > 0.0;
        if let Some(power) = self.power {
            ensure(is_positive(power), &field("power"), "a number above 0", power)?;
        }
        if let Some(rise) = self.rise {
            ensure(rise > 0.0 && rise < 1.0, &field("rise"), "a share of the curve between 0 and 1", rise)?;
        }
        if let Some(warmup) = self.warmup {
            ensure(is_positive(warmup), &field("warmup"), "a number of epochs above 0", warmup)?;
        }
        if let Some(share) = self.warmup_share {
            ensure((0.0..=1.0).contains(&share), &field("warmup_share"), "a share of 'from' from 0 to 1", share)?;
        }
        for (part, epoch) in [("start", self.start), ("end", self.end)] {
            let Some(epoch) = epoch else { continue };
            ensure(epoch.is_finite() && epoch >= 0.0, &field(part), "an epoch from 0 on", epoch)?;
        }
        self.check_steps(range)
    }

    /// Checks that each part is there if the kind needs it, and only if it takes it.
    fn check_parts(&self, field: &str) -> Result<(), Fault> {
        let kind = self.kind;
        let monotone = matches!(kind, Kind::Linear | Kind::Cosine | Kind::Rex | Kind::Polynomial);
        let (steps, cycle) = (kind == Kind::Steps, kind == Kind::Cycle);
        let number = |number: Option<f64>| number.map(|number| number.to_string());
        // Each part: what is written, whether the kind takes it, whether it needs it.
        let parts = [
            ("to", number(self.to), monotone || cycle, monotone || cycle),
            ("power", number(self.power), kind == Kind::Polynomial, kind == Kind::Polynomial),
            ("at", self.at.as_ref().map(|at| format!("{at:?}")), steps, steps),
            ("factor", number(self.factor), steps, steps),
            ("peak", number(self.peak), cycle, cycle),
            ("rise", number(self.rise), cycle, false),
            ("anneal", self.anneal.map(|anneal| format!("{anneal:?}").to_lowercase()), cycle, false),
            ("warmup", number(self.warmup), !cycle, false),
        ];
        for (part, written, takes, needs) in parts {
            let place = format!("{field}.{part}");
            match written {
                Some(got) if !takes => ensure(false, &place, &format!("none beside kind '{kind}'"), got)?,
                None if needs => ensure(false, &place, &format!("a value, which kind '{kind}' needs"), "none")?,
                _ => {}
            }
        }
        for (part, written) in [("warmup_from", self.warmup_from), ("warmup_share", self.warmup_share)] {
            let Some(got) = written else { continue };
            ensure(self.warmup.is_some(), &format!("{field}.{part}"), "'warmup' beside it", format!("{got} alone"))?;
        }
        let one = self.warmup_from.is_none() || self.warmup_share.is_none();
        ensure(one, &format!("{field}.warmup_share"), "either it or 'warmup_from'", "both")
    }

    fn check_steps(&self, range: &Range) -> Result<(), Fault> {
        let (Some(at), Some(factor)) = (&self.at, self.factor) else { return Ok(()) };
        let field = |part: &str| format!("{}.{part}", range.field);
        let in_order = at.is_sorted_by(|a, b| a < b) && at.iter().all(|epoch| epoch.is_finite() && *epoch > 0.0);
        ensure(in_order && !at.is_empty(), &field("at"), "one or more epochs above 0, in order", format!("{at:?}"))?;
        let is_factor = factor.is_finite() && factor > 0.0;
        ensure(is_factor, &field("factor"), "a number above 0", factor)?;
        let last = self.after_steps(at.len());
        let expected = format!("a factor that keeps {} to {}", range.field, range.expected);
        ensure((range.holds)(last), &field("factor"), &expected, format!("{factor}, which makes {last}"))
    }

    /// The curve with its start and end, in a run of `epochs` epochs.
    pub(crate) fn over(&self, field: &str, epochs: f64) -> Result<Schedule, Fault> {
        let (start, end) = (self.start.unwrap_or(0.0), self.end.unwrap_or(epochs));
        let place = |part: &str| format!("{field}.{part}");
        ensure(end <= epochs + SLACK, &place("end"), &format!("an epoch up to {epochs}, the end of the run"), end)?;
        ensure(start < end, &place("start"), &format!("an epoch below {end}, where the curve ends"), start)?;
        if let Some(warmup) = self.warmup {
            let length = shown(end - start);
            let expected = format!("fewer than the {length} epochs of the curve");
            ensure(warmup < end - start, &place("warmup"), &expected, warmup)?;
        }
        let warm = start + self.warmup.unwrap_or(0.0);
        let outside = self.at.iter().flatten().find(|&&epoch| epoch < warm || epoch >= end);
        if let Some(outside) = outside {
            let expected = format!("epochs from {} on and below {end}, where the curve ends", shown(warm));
            ensure(false, &place("at"), &expected, outside)?;
        }
        Ok(Schedule { start: Some(start), end: Some(end), ..self.clone() })
    }

    /// The value where a step starts. A curve without an end has never begun to move.
    pub(crate) fn at(&self, place: Place) -> f64 {
        let (now, length) = match self.epoch_step {
            true => (place.epoch as f64, 1.0),
            false => (place.start(), place.length()),
        };
        let (start, end) = (self.start.unwrap_or(0.0), self.end.unwrap_or(f64::INFINITY));
        let warmup = self.warmup.unwrap_or(0.0);
        if now < start + warmup {
            let first = self.first();
            return first + (self.from - first) * ((now - start).max(0.0) / warmup).min(1.0);
        }
        let t = ((now - start - warmup) / (end - start - warmup)).clamp(0.0, 1.0);
        let to = self.to.unwrap_or(self.from);
        match self.kind {
            Kind::Constant => self.from,
            Kind::Linear => self.from + (to - self.from) * t,
            Kind::Cosine => half_cosine(self.from, to, t),
            Kind::Rex => to + (self.from - to) * ((1.0 - t) / (0.5 + 0.5 * (1.0 - t))),
            Kind::Polynomial => to + (self.from - to) * (1.0 - t).powf(self.power.unwrap_or(1.0)),
            Kind::Steps => {
                let passed = self.at.iter().flatten().filter(|&&epoch| epoch <= now + SLACK).count();
                self.after_steps(passed)
            }
            Kind::Cycle => self.cycle(now - start, end - start, length),
        }
    }

    /// A cycle's value `now` epochs after its start, in a step of `length` epochs. As PyTorch has
    /// it, the peak and the end are the values of the last step of each half.
    fn cycle(&self, now: f64, whole: f64, length: f64) -> f64 {
        let (peak, to) = (self.peak.unwrap_or(self.from), self.to.unwrap_or(self.from));
        let top = (self.rise.unwrap_or(RISE) * whole - length).max(0.0);
        let last = (whole - length).max(top);
        let (from, to, done, all) = match now <= top {
            true => (self.from, peak, now, top),
            false => (peak, to, now - top, last - top),
        };
        let t = if all > 0.0 { (done / all).clamp(0.0, 1.0) } else { 1.0 };
        match self.anneal.unwrap_or_default() {
            Anneal::Cosine => half_cosine(from, to, t),
            Anneal::Linear => from + (to - from) * t,
        }
    }

    /// The value of the curve's first step.
    fn first(&self) -> f64 {
        self.warmup_from.unwrap_or(self.warmup_share.unwrap_or(0.0) * self.from)
    }

    /// With every value as single precision has it.
    pub(crate) fn in_single(&self) -> Self {
        Schedule {
            from: single(self.from),
            to: self.to.map(single),
            peak: self.peak.map(single),
            warmup_from: self.warmup_from.map(single),
            ..self.clone()
        }
    }
}

fn half_cosine(from: f64, to: f64, t: f64) -> f64 {
    to + (from - to) * ((1.0 + (PI * t).cos()) / 2.0)
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Constant => "constant",
            Kind::Linear => "linear",
            Kind::Cosine => "cosine",
            Kind::Rex => "rex",
            Kind::Polynomial => "polynomial",
            Kind::Steps => "steps",
            Kind::Cycle => "cycle",
        })
    }
}

/// On one line, with all that is known.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Schedule { kind, from, .. } = self;
        match (self.peak, self.to, &self.at) {
            (Some(peak), Some(to), _) => write!(f, "{kind} from {from} by {peak} to {to}")?,
            (_, Some(to), _) => write!(f, "{kind} from {from} to {to}")?,
            (_, _, Some(at)) => {
                let at: Vec<String> = at.iter().map(f64::to_string).collect();
                write!(f, "{from}, times {} at epochs {}", self.factor.unwrap_or(1.0), at.join(", "))?;
            }
            _ => write!(f, "{from}")?,
        }
        if let Some(power) = self.power {
            write!(f, ", power {power}")?;
        }
        let start = self.start.unwrap_or(0.0);
        let warm = start + self.warmup.unwrap_or(0.0);
        if let Some(end) = self.end.filter(|_| self.to.is_some()) {
            write!(f, ", epochs {} to {end}", shown(warm))?;
        }
        if self.warmup.is_some() {
            write!(f, ", after a linear warm-up from {}, epochs {start} to {}", self.first(), shown(warm))?;
        }
        f.write_str(if self.epoch_step { ", once an epoch" } else { "" })
    }
}

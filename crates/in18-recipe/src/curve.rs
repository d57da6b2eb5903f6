//! A number that may change over a run: a learning rate, a momentum.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::fault::Fault;
use crate::phases::whole_or_not;
use crate::place::Place;
use crate::recipe::single;
use crate::schedule::{Range, Schedule};

/// A value for every step of every epoch.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Curve {
    /// The same for every step.
    Constant(f64),
    /// On the line through `from` at the start of epoch `start` and `to` at the start of epoch
    /// `end`. The line goes on past `end`. Phases write it.
    Linear {
        /// Value at the start.
        from: f64,
        /// Value at the end.
        to: f64,
        /// Epoch at which the line starts. It may lie within an epoch, as 2.56 does.
        #[serde(serialize_with = "whole_or_not")]
        start: f64,
        /// Epoch at which `to` is reached.
        #[serde(serialize_with = "whole_or_not")]
        end: f64,
        /// The value moves once an epoch: each step has the value of its epoch's start.
        epoch_step: bool,
    },
    /// A curve over the run. Fields of the optimizer write it.
    Over(Box<Schedule>),
}

impl Curve {
    /// The value in a step. A phase's line has `from + (to - from) * ((epoch - start) * steps +
    /// step) / ((end - start) * steps)`, where `step` counts from 1, in the original trainer's
    /// order of operations, so that rates equal its rates to the last bit. A curve over the run has
    /// its value where the step starts.
    pub fn at(&self, place: Place) -> f64 {
        match *self {
            Curve::Constant(value) => value,
            Curve::Linear { from, to, start, end, epoch_step } => {
                let Place { steps, .. } = place;
                let step = if epoch_step { 0.0 } else { place.after };
                let total = (end - start) * steps;
                // Only a line that starts within an epoch and moves once an epoch is ever before
                // its start.
                let done = ((place.epoch as f64 - start) * steps + step).max(0.0);
                from + done * ((to - from) / total)
            }
            Curve::Over(ref schedule) => schedule.at(place),
        }
    }

    /// Checks the rules that need not know the run. `range` is where all values must lie.
    pub(crate) fn check(&self, range: &Range) -> Result<(), Fault> {
        match self {
            Curve::Constant(value) => range.check("", *value),
            Curve::Linear { from, to, .. } => range.check("", *from).and_then(|()| range.check("", *to)),
            Curve::Over(schedule) => schedule.check(range),
        }
    }

    /// The curve in a run of `epochs` epochs; `field` is where it is written.
    pub(crate) fn over(&self, field: &str, epochs: f64) -> Result<Curve, Fault> {
        match self {
            Curve::Over(schedule) => schedule.over(field, epochs).map(|schedule| Curve::Over(Box::new(schedule))),
            curve => Ok(curve.clone()),
        }
    }

    /// With every value as single precision has it.
    pub(crate) fn in_single(&self) -> Self {
        match *self {
            Curve::Constant(value) => Curve::Constant(single(value)),
            Curve::Linear { from, to, start, end, epoch_step } => {
                Curve::Linear { from: single(from), to: single(to), start, end, epoch_step }
            }
            Curve::Over(ref schedule) => Curve::Over(Box::new(schedule.in_single())),
        }
    }
}

/// A number, for a constant, or a table, for a curve over the run.
impl<'de> Deserialize<'de> for Curve {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrTable;

        impl<'de> Visitor<'de> for NumberOrTable {
            type Value = Curve;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a curve such as { kind = \"cosine\", from = 1, to = 0 }")
            }

            fn visit_f64<E>(self, value: f64) -> Result<Curve, E> {
                Ok(Curve::Constant(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Curve, E> {
                Ok(Curve::Constant(value as f64))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Curve, E> {
                Ok(Curve::Constant(value as f64))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Curve, A::Error> {
                Schedule::deserialize(MapAccessDeserializer::new(map)).map(|schedule| Curve::Over(Box::new(schedule)))
            }
        }

        deserializer.deserialize_any(NumberOrTable)
    }
}

/// How a plan's reader sees the curve, on one line.
impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Curve::Constant(value) => write!(f, "{value}"),
            Curve::Linear { from, to, start, end, epoch_step } => {
                write!(f, "linear from {from} to {to} over epochs {start} to {end}")?;
                f.write_str(if *epoch_step { ", once an epoch" } else { "" })
            }
            Curve::Over(schedule) => schedule.fmt(f),
        }
    }
}

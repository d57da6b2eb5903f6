//! `imagenet18 dawn`: DAWNBench's table and the curves of a schedule, from TensorBoard's event files.

use anyhow::Result;
use in18_events::read_scalars;
use in18_record::dawn::{Curve, curve, tsv};

use crate::cli::{DawnArgs, DawnCommand, EventsArgs};
use crate::output;

/// Prints what was asked for.
pub fn dawn(arguments: &DawnArgs) -> Result<()> {
    let print = |events: &EventsArgs, which| output::print(&curve(&read_scalars(&events.path)?, which)?);
    match &arguments.what {
        DawnCommand::Tsv { events, ignore_eval } => output::print(&tsv(&read_scalars(&events.path)?, *ignore_eval)?),
        DawnCommand::Lr(events) => print(events, Curve::Lr),
        DawnCommand::Batch(events) => print(events, Curve::Batch),
        DawnCommand::Size(events) => print(events, Curve::Size),
    }
}

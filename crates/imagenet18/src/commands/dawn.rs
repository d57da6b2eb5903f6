//! `imagenet18 dawn`: DAWNBench's table and a schedule's curves, from TensorBoard event files.

use anyhow::Result;
use in18_record::dawn::{Curve, curve, tsv};
use in18_record::event_files::{Scalar, read_scalars};

use crate::cli::{DawnArgs, DawnCommand, EventsArgs};
use crate::output;

/// Prints the chosen table or curve.
pub fn dawn(arguments: &DawnArgs) -> Result<()> {
    let text = match &arguments.what {
        DawnCommand::Tsv { events, ignore_eval } => tsv(&scalars(events)?, *ignore_eval),
        DawnCommand::Lr(events) => curve(&scalars(events)?, Curve::Lr),
        DawnCommand::Batch(events) => curve(&scalars(events)?, Curve::Batch),
        DawnCommand::Size(events) => curve(&scalars(events)?, Curve::Size),
    };
    output::print(&text?)
}

fn scalars(events: &EventsArgs) -> Result<Vec<Scalar>> {
    let read = read_scalars(&events.path)?;
    for file in read.partial {
        output::complain(&format!("note: {} ends within a record, as that of a run under way may", file.display()));
    }
    Ok(read.all)
}

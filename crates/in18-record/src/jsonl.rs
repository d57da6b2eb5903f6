//! `metrics.jsonl`: every event as one JSON object on a line, for programs.

use crate::line_file::LineFile;
use crate::recorder::Sink;
use crate::{Event, Marks, Opening, RecordError, Stamp};
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// Objects with `seconds` and `unix` (the [`Stamp`]), `event` (the event's name in snake case) and
/// the event's own fields. A number that is not finite, such as a NaN loss, is `null`.
pub struct Jsonl {
    file: LineFile,
    /// The time of the last line that was flushed.
    flushed: f64,
}

/// Steps are flushed after this many seconds of the run, so that a program that follows the file
/// sees them no later.
const FLUSH_SECONDS: f64 = 1.0;

impl Jsonl {
    /// Writes to a writer, e.g. a file opened for appending.
    pub fn new(writer: impl Write + Send + 'static) -> Self {
        Self { file: LineFile::new("metrics.jsonl", writer), flushed: 0.0 }
    }

    /// Makes the file, or continues the one that is there.
    ///
    /// # Errors
    /// [`RecordError::Create`].
    pub fn open(path: &Path, opening: Opening<'_>) -> Result<Self, RecordError> {
        Ok(Self { file: LineFile::open(path, opening)?, flushed: 0.0 })
    }
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    stamp: Stamp,
    #[serde(flatten)]
    event: &'a Event,
}

impl Sink for Jsonl {
    fn record(&mut self, stamp: Stamp, event: &Event) -> Result<(), RecordError> {
        let text = serde_json::to_string(&Line { stamp, event })
            .map_err(|error| RecordError::Write { name: self.file.name().to_owned(), cause: error.into() })?;
        self.file.line(&text)?;
        match event {
            Event::Step(_) | Event::EvalStep(_) if stamp.seconds - self.flushed < FLUSH_SECONDS => Ok(()),
            _ => {
                self.flushed = stamp.seconds;
                self.file.flush()
            }
        }
    }

    fn mark(&mut self, marks: &mut Marks) -> Result<(), RecordError> {
        self.file.mark(marks)
    }

    fn close(mut self: Box<Self>) -> Result<(), RecordError> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{self, written};

    #[test]
    fn is_one_object_a_line() {
        let text = written(samples::run(), |writer| Box::new(Jsonl::new(writer)));
        assert_eq!(text.lines().count(), samples::run().len());
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(value["event"].is_string(), "{line}");
            assert!(value["seconds"].is_number(), "{line}");
        }
        insta::assert_snapshot!(text, @r#"
        {"seconds":0.0,"unix":1770091506.0,"event":"run_start","arch":"resnet18","classes":10,"parameters":11181642,"precision":"bf16","engine":"oneDNN 3.2.0","world":1,"workers":2,"seed":0,"first_epoch":0,"epochs":2,"images_train":96,"images_val":40}
        {"seconds":0.0,"unix":1770091506.0,"event":"data_change","epoch":0,"size":48,"batch":32,"val_batch":128,"train_dir":"photos/train","val_dir":"photos/validation","min_scale":0.35,"rect_val":false}
        {"seconds":0.0,"unix":1770091506.0,"event":"rate_change","epoch":0,"step":1,"from":null,"to":0.05}
        {"seconds":0.25,"unix":1770091506.25,"event":"step","epoch":0,"step":1,"steps":3,"images":32,"images_total":32,"images_before":0,"size":48,"lr":0.05,"momentum":0.9,"loss":2.275,"top1":6.25,"top5":12.5,"step_seconds":0.25,"data_seconds":0.002}
        {"seconds":0.5,"unix":1770091506.5,"event":"step","epoch":0,"step":2,"steps":3,"images":32,"images_total":32,"images_before":32,"size":48,"lr":0.1,"momentum":0.9,"loss":2.15,"top1":12.5,"top5":25.0,"step_seconds":0.25,"data_seconds":0.002}
        {"seconds":3.0,"unix":1770091509.0,"event":"step","epoch":0,"step":3,"steps":3,"images":32,"images_total":32,"images_before":64,"size":48,"lr":0.15000000000000002,"momentum":0.9,"loss":2.025,"top1":18.75,"top5":37.5,"step_seconds":0.25,"data_seconds":0.002}
        {"seconds":3.0,"unix":1770091509.0,"event":"loader","epoch":0,"read_seconds":0.25,"decode_seconds":1.5,"resize_seconds":0.75,"slot_seconds":2.5}
        {"seconds":4.5,"unix":1770091510.5,"event":"eval_step","epoch":0,"step":1,"steps":1,"images_total":40,"loss":2.0625,"top1":17.5,"top5":62.5,"step_seconds":1.5}
        {"seconds":4.5,"unix":1770091510.5,"event":"epoch_end","epoch":0,"hours":0.00125,"images_seen":96,"size":48,"train_loss":2.15,"train_top1":12.5,"train_top5":25.0,"val_loss":2.0625,"top1":17.5,"top5":62.5,"train_seconds":3.0,"data_seconds":0.024,"eval_seconds":1.5,"images_per_s":32.0,"skipped":0}
        {"seconds":4.5,"unix":1770091510.5,"event":"data_change","epoch":1,"size":64,"batch":32,"val_batch":128,"train_dir":"photos-sz/64/train","val_dir":"photos/validation","min_scale":0.35,"rect_val":true}
        {"seconds":4.5,"unix":1770091510.5,"event":"batch_change","epoch":1,"batch":16}
        {"seconds":4.5,"unix":1770091510.5,"event":"rate_change","epoch":1,"step":1,"from":0.15,"to":1.0}
        {"seconds":7.5,"unix":1770091513.5,"event":"step","epoch":1,"step":3,"steps":3,"images":32,"images_total":32,"images_before":160,"size":48,"lr":0.30000000000000004,"momentum":0.9,"loss":1.65,"top1":37.5,"top5":75.0,"step_seconds":0.25,"data_seconds":0.002,"network":{"received_gbit":1.5,"sent_gbit":2.25},"memory":{"allocated":1,"max_allocated":2,"cached":3,"max_cached":4}}
        {"seconds":7.5,"unix":1770091513.5,"event":"loader","epoch":1,"read_seconds":0.25,"decode_seconds":1.5,"resize_seconds":0.75,"slot_seconds":2.5,"advice":"Epoch 1 waited, for its disk is slow"}
        {"seconds":9.0,"unix":1770091515.0,"event":"epoch_end","epoch":1,"hours":0.0025,"images_seen":192,"size":48,"train_loss":2.15,"train_top1":12.5,"train_top5":25.0,"val_loss":2.0625,"top1":77.5,"top5":97.5,"train_seconds":3.0,"data_seconds":0.024,"eval_seconds":1.5,"images_per_s":32.0,"skipped":0}
        {"seconds":9.0,"unix":1770091515.0,"event":"saved","what":"parameters","path":"runs/a/model.safetensors"}
        {"seconds":9.0,"unix":1770091515.0,"event":"note","text":"Everything is in runs/a"}
        {"seconds":9.0,"unix":1770091515.0,"event":"warning","text":"2 photos were skipped"}
        {"seconds":9.25,"unix":1770091515.25,"event":"run_end","epochs":2,"images_seen":192,"seconds":9.25,"train_seconds":6.0,"data_seconds":0.048,"eval_seconds":3.0,"top1":77.5,"top5":97.5,"peak_rss_bytes":234000000}
        "#);
    }

    #[test]
    fn no_number_is_null() {
        let mut step = samples::step(0, 1, 2);
        step.loss = f64::NAN;
        let events = vec![(samples::stamp(0.0), Event::Step(step))];
        let text = written(events, |writer| Box::new(Jsonl::new(writer)));
        assert!(text.contains(r#""loss":null"#), "{text}");
    }
}

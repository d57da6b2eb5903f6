//! The console of a run that nobody watches on a terminal: plain lines, in a file or a pipe.

use crate::line_file::LineFile;
use crate::progress::StepLines;
use crate::recorder::Sink;
use crate::text;
use crate::{Event, RecordError, Stamp};
use std::io::Write;
use std::num::NonZeroUsize;

/// A line for every `print_freq`-th step, for every epoch, and for everything else that a user
/// should know. For a terminal there is [`ConsoleBar`](crate::ConsoleBar).
pub struct ConsoleLines {
    console: LineFile,
    steps: StepLines,
}

impl ConsoleLines {
    /// Writes to a writer, e.g. standard error.
    pub fn new(writer: impl Write + Send + 'static, print_freq: NonZeroUsize) -> Self {
        Self { console: LineFile::new("progress to the console", writer), steps: StepLines::new(print_freq) }
    }
}

impl Sink for ConsoleLines {
    fn record(&mut self, _: Stamp, event: &Event) -> Result<(), RecordError> {
        match self.steps.line(event).or_else(|| lasting_line(event)) {
            Some(text) => {
                self.console.line(&text)?;
                self.console.flush()
            }
            None => Ok(()),
        }
    }

    fn close(mut self: Box<Self>) -> Result<(), RecordError> {
        self.console.flush()
    }
}

/// The line that stays on the console for an event that is not a step.
#[must_use]
pub fn lasting_line(event: &Event) -> Option<String> {
    Some(match event {
        Event::RunStart(run) => text::run_start(run),
        Event::DataChange(data) => format!(
            "From epoch {}: {} px, batch {}, images of {}, validation on {}{}",
            data.epoch,
            data.size,
            data.batch,
            data.train_dir,
            data.val_dir,
            match data.views().join(", ") {
                views if views.is_empty() => views,
                views => format!(" ({views})"),
            }
        ),
        Event::BatchChange { epoch, batch } => format!("From epoch {epoch}: batch {batch}"),
        Event::Loader(loader) => return loader.advice.clone(),
        Event::EpochEnd(epoch) => text::epoch_summary(epoch),
        Event::Resumed { epoch, step, from, world, .. } => text::resumed(*epoch, *step, from, *world),
        Event::Saved { what, path } => format!("Saved {what}: {path}"),
        Event::Note { text } => text.clone(),
        Event::Warning { text } => format!("Warning: {text}"),
        Event::GoalReached(goal) => text::goal_reached(goal),
        Event::Stopped { reason } => format!("The run ends here: {reason}"),
        Event::RunEnd(run) => text::run_end(run),
        // The rate changes with every step, and checkpoints come often. The logs have them.
        Event::RateChange { .. }
        | Event::LossScale { .. }
        | Event::Checkpoint { .. }
        | Event::Step(_)
        | Event::EvalStep(_)
        | Event::Unknown => {
            return None;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DataChange, GoalReached};

    #[test]
    fn says_what_validation_sees_and_why_a_run_ends_early() {
        let line = |event| lasting_line(&event).unwrap();
        let tta = Some("flip-logits".to_owned());
        let views = DataChange { val_size: Some(256), val_crop: Some(0.875), rect_val: true, tta, ..samples::data() };
        assert_eq!(
            line(Event::DataChange(views)),
            "From epoch 0: 48 px, batch 32, images of photos/train, validation on photos/validation \
             (256 px, crop 0.875, rectangular, tta flip-logits)"
        );
        let goal = "top5=93".to_owned();
        let goal = GoalReached { goal, epoch: 7, hours: 0.123456, images_seen: 1000, top1: 75.5, top5: 93.25 };
        assert_eq!(
            line(Event::GoalReached(goal)),
            "top5=93 is reached in epoch 7, after 0.12346 hours and 1000 images: top-1 75.500 %, top-5 93.250 %"
        );
    }
    use crate::samples::{self, written};

    #[test]
    fn tells_a_run_in_plain_lines() {
        let text = written(samples::run(), |writer| Box::new(ConsoleLines::new(writer, NonZeroUsize::new(2).unwrap())));
        insta::assert_snapshot!(text.replace('\t', "→"), @r"
        resnet18, 10 classes, 11.2 M parameters, bf16 with oneDNN 3.2.0, 1 device; 96 training and 40 validation images, epochs 0 to 1, seed 0
        From epoch 0: 48 px, batch 32, images of photos/train, validation on photos/validation
        Epoch: [0][2/3]→Time 0.250 (0.250)→Loss 2.1500 (2.2125)→Acc@1 12.500 (9.375)→Acc@5 25.000 (18.750)→Data 0.002 (0.002)
        Epoch: [0][3/3]→Time 0.250 (0.250)→Loss 2.0250 (2.1500)→Acc@1 18.750 (12.500)→Acc@5 37.500 (25.000)→Data 0.002 (0.002)
        Test:  [0][1/1]→Time 1.500 (1.500)→Loss 2.0625 (2.0625)→Acc@1 17.500 (17.500)→Acc@5 62.500 (62.500)
        Epoch 0: top-1 17.50 %, top-5 62.50 %, loss 2.0625 (training 2.1500), 32.0 images/s at 48 px, waited 0.8 % for data, 0:05 in all
        From epoch 1: 64 px, batch 32, images of photos-sz/64/train, validation on photos/validation (rectangular)
        From epoch 1: batch 16
        Epoch: [1][3/3]→Time 0.250 (0.250)→Loss 1.6500 (1.7750)→Acc@1 37.500 (31.250)→Acc@5 75.000 (62.500)→Data 0.002 (0.002)→BW 1.500 2.250
        Epoch 1 waited, for its disk is slow
        Epoch 1: top-1 77.50 %, top-5 97.50 %, loss 2.0625 (training 2.1500), 32.0 images/s at 48 px, waited 0.8 % for data, 0:09 in all
        Saved parameters: runs/a/model.safetensors
        Everything is in runs/a
        Warning: 2 photos were skipped
        Trained 2 epochs in 0:09: top-1 77.500 %, top-5 97.500 %; training 0:06 at 32.0 images/s, 0.8 % of it waiting for data, validation 0:03, peak memory 234 MB
        ");
    }
}

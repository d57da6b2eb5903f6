//! `debug.log`: everything, each line with its time.

use crate::line_file::LineFile;
use crate::progress::StepLines;
use crate::recorder::Sink;
use crate::text;
use crate::{Event, Marks, Opening, RecordError, Stamp};
use jiff::Timestamp;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;

/// Every event, with every step. A line has the time in UTC to the millisecond (RFC 3339), seconds
/// since the run began, and the text.
pub struct DebugLog {
    file: LineFile,
    steps: StepLines,
}

impl DebugLog {
    /// Writes to a writer, e.g. a file opened for appending.
    pub fn new(writer: impl Write + Send + 'static) -> Self {
        Self::over(LineFile::new("debug.log", writer))
    }

    /// Makes the file, or continues the one that is there.
    ///
    /// # Errors
    /// [`RecordError::Create`].
    pub fn open(path: &Path, opening: Opening<'_>) -> Result<Self, RecordError> {
        Ok(Self::over(LineFile::open(path, opening)?))
    }

    fn over(file: LineFile) -> Self {
        Self { file, steps: StepLines::new(NonZeroUsize::MIN) }
    }

    fn text(&mut self, event: &Event) -> String {
        let lines = text::event_lines(event).or_else(|| self.steps.line(event));
        match event {
            Event::RunStart(run) => {
                let header = lines.unwrap_or_default();
                format!("{}\n{header}", text::run_start(run))
            }
            Event::DataChange(data) => format!(
                "{}\nValidation batch size: {}\nCrop's least share of the area: {}\nRectangular validation: {}{}",
                lines.unwrap_or_default(),
                data.val_batch,
                data.min_scale,
                data.rect_val,
                match data.views().join(", ") {
                    views if views.is_empty() || views == "rectangular" => String::new(),
                    views => format!("\nViews of validation: {views}"),
                }
            ),
            Event::EpochEnd(epoch) => {
                let line = lines.unwrap_or_default();
                format!("{line}\n{}", text::epoch_summary(epoch))
            }
            Event::Loader(loader) => text::loader(loader),
            Event::LossScale { epoch, step, scale, overflow, overflows } => {
                text::loss_scale(*epoch, *step, *scale, *overflow, *overflows)
            }
            Event::Resumed { epoch, step, from, world, .. } => text::resumed(*epoch, *step, from, *world),
            Event::Checkpoint { epoch, step, path } => format!("Checkpoint at epoch {epoch}, step {step}: {path}"),
            Event::Saved { what, path } => format!("Saved {what}: {path}"),
            Event::Note { text } => text.clone(),
            Event::RunEnd(run) => text::run_end(run),
            _ => lines.unwrap_or_default(),
        }
    }
}

impl Sink for DebugLog {
    fn record(&mut self, stamp: Stamp, event: &Event) -> Result<(), RecordError> {
        let time = time_of_day(stamp)
            .ok_or_else(|| RecordError::Time { name: self.file.name().to_owned(), got: stamp.unix })?;
        for line in self.text(event).lines() {
            self.file.line(&format!("{time:.3} {:10.3} {line}", stamp.seconds))?;
        }
        match event {
            // Readers look at whole epochs. A flush for each step would be a system call for each
            // step.
            Event::Step(_) | Event::EvalStep(_) => Ok(()),
            _ => self.file.flush(),
        }
    }

    fn mark(&mut self, marks: &mut Marks) -> Result<(), RecordError> {
        self.file.mark(marks)
    }

    fn close(mut self: Box<Self>) -> Result<(), RecordError> {
        self.file.flush()
    }
}

/// The stamp's instant; `None` if it lies outside the calendar.
fn time_of_day(stamp: Stamp) -> Option<Timestamp> {
    if !stamp.unix.is_finite() {
        return None;
    }
    // An f64 holds the present to a quarter of a microsecond. The cast saturates.
    Timestamp::from_microsecond((stamp.unix * 1e6).round() as i64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{self, Shared, written};

    #[test]
    fn tells_everything_with_its_time() {
        let text = written(samples::run(), |writer| Box::new(DebugLog::new(writer)));
        insta::assert_snapshot!(text.replace('\t', "→"), @r"
        2026-02-03T04:05:06.000Z      0.000 resnet18, 10 classes, 11.2 M parameters, bf16 with oneDNN 3.2.0, 1 device; 96 training and 40 validation images, epochs 0 to 1, seed 0
        2026-02-03T04:05:06.000Z      0.000 ~~epoch→hours→top1→top5
        2026-02-03T04:05:06.000Z      0.000 Dataset changed.
        2026-02-03T04:05:06.000Z      0.000 Image size: 48
        2026-02-03T04:05:06.000Z      0.000 Batch size: 32
        2026-02-03T04:05:06.000Z      0.000 Train Directory: photos/train
        2026-02-03T04:05:06.000Z      0.000 Validation Directory: photos/validation
        2026-02-03T04:05:06.000Z      0.000 Validation batch size: 128
        2026-02-03T04:05:06.000Z      0.000 Crop's least share of the area: 0.35
        2026-02-03T04:05:06.000Z      0.000 Rectangular validation: false
        2026-02-03T04:05:06.000Z      0.000 Changing LR from None to 0.05
        2026-02-03T04:05:06.250Z      0.250 Epoch: [0][1/3]→Time 0.250 (0.250)→Loss 2.2750 (2.2750)→Acc@1 6.250 (6.250)→Acc@5 12.500 (12.500)→Data 0.002 (0.002)
        2026-02-03T04:05:06.500Z      0.500 Epoch: [0][2/3]→Time 0.250 (0.250)→Loss 2.1500 (2.2125)→Acc@1 12.500 (9.375)→Acc@5 25.000 (18.750)→Data 0.002 (0.002)
        2026-02-03T04:05:09.000Z      3.000 Epoch: [0][3/3]→Time 0.250 (0.250)→Loss 2.0250 (2.1500)→Acc@1 18.750 (12.500)→Acc@5 37.500 (25.000)→Data 0.002 (0.002)
        2026-02-03T04:05:09.000Z      3.000 Loader threads: 5.0 % reading, 30.0 % decoding, 15.0 % resizing, 50.0 % waiting for a free place
        2026-02-03T04:05:10.500Z      4.500 Test:  [0][1/1]→Time 1.500 (1.500)→Loss 2.0625 (2.0625)→Acc@1 17.500 (17.500)→Acc@5 62.500 (62.500)
        2026-02-03T04:05:10.500Z      4.500 ~~0→0.00125→→17.500→→62.500
        2026-02-03T04:05:10.500Z      4.500 Epoch 0: top-1 17.50 %, top-5 62.50 %, loss 2.0625 (training 2.1500), 32.0 images/s at 48 px, waited 0.8 % for data, 0:05 in all
        2026-02-03T04:05:10.500Z      4.500 Dataset changed.
        2026-02-03T04:05:10.500Z      4.500 Image size: 64
        2026-02-03T04:05:10.500Z      4.500 Batch size: 32
        2026-02-03T04:05:10.500Z      4.500 Train Directory: photos-sz/64/train
        2026-02-03T04:05:10.500Z      4.500 Validation Directory: photos/validation
        2026-02-03T04:05:10.500Z      4.500 Validation batch size: 128
        2026-02-03T04:05:10.500Z      4.500 Crop's least share of the area: 0.35
        2026-02-03T04:05:10.500Z      4.500 Rectangular validation: true
        2026-02-03T04:05:10.500Z      4.500 Batch size changed: 16
        2026-02-03T04:05:10.500Z      4.500 Changing LR from 0.15 to 1.0
        2026-02-03T04:05:13.500Z      7.500 Epoch: [1][3/3]→Time 0.250 (0.250)→Loss 1.6500 (1.7750)→Acc@1 37.500 (31.250)→Acc@5 75.000 (62.500)→Data 0.002 (0.002)→BW 1.500 2.250
        2026-02-03T04:05:13.500Z      7.500 Loader threads: 5.0 % reading, 30.0 % decoding, 15.0 % resizing, 50.0 % waiting for a free place
        2026-02-03T04:05:13.500Z      7.500 Epoch 1 waited, for its disk is slow
        2026-02-03T04:05:15.000Z      9.000 ~~1→0.00250→→77.500→→97.500
        2026-02-03T04:05:15.000Z      9.000 Epoch 1: top-1 77.50 %, top-5 97.50 %, loss 2.0625 (training 2.1500), 32.0 images/s at 48 px, waited 0.8 % for data, 0:09 in all
        2026-02-03T04:05:15.000Z      9.000 Saved parameters: runs/a/model.safetensors
        2026-02-03T04:05:15.000Z      9.000 Everything is in runs/a
        2026-02-03T04:05:15.000Z      9.000 Warning: 2 photos were skipped
        2026-02-03T04:05:15.250Z      9.250 Trained 2 epochs in 0:09: top-1 77.500 %, top-5 97.500 %; training 0:06 at 32.0 images/s, 0.8 % of it waiting for data, validation 0:03, peak memory 234 MB
        ");
    }

    #[test]
    fn refuses_a_time_outside_of_the_calendar() {
        for unix in [f64::NAN, f64::INFINITY, 1e15] {
            let mut log = DebugLog::new(Shared::default());
            let stamp = Stamp { seconds: 0.0, unix };
            let note = Event::Note { text: "x".into() };
            let error = log.record(stamp, &note).unwrap_err();
            assert!(error.to_string().contains("Unix time"), "{error}");
        }
    }
}

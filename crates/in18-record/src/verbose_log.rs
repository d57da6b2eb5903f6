//! `verbose.log`: the lines of `event.log`, and a line every few steps.

use crate::line_file::LineFile;
use crate::progress::StepLines;
use crate::recorder::Sink;
use crate::text::event_lines;
use crate::{Event, Marks, Opening, RecordError, Stamp};
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;

/// The original's line for every `print_freq`-th step of an epoch and of a validation, and for the
/// last step: the latest value first, then the mean so far in brackets. These lines stand between
/// those of [`EventLog`](crate::EventLog).
pub struct VerboseLog {
    file: LineFile,
    steps: StepLines,
}

impl VerboseLog {
    /// Writes to a writer, e.g. a file opened for appending.
    pub fn new(writer: impl Write + Send + 'static, print_freq: NonZeroUsize) -> Self {
        Self::over(LineFile::new("verbose.log", writer), print_freq)
    }

    /// Makes the file, or continues the one that is there.
    ///
    /// # Errors
    /// [`RecordError::Create`].
    pub fn open(path: &Path, opening: Opening<'_>, print_freq: NonZeroUsize) -> Result<Self, RecordError> {
        Ok(Self::over(LineFile::open(path, opening)?, print_freq))
    }

    fn over(file: LineFile, print_freq: NonZeroUsize) -> Self {
        Self { file, steps: StepLines::new(print_freq) }
    }
}

impl Sink for VerboseLog {
    fn record(&mut self, _: Stamp, event: &Event) -> Result<(), RecordError> {
        match self.steps.line(event).or_else(|| event_lines(event)) {
            Some(text) => {
                self.file.line(&text)?;
                self.file.flush()
            }
            None => Ok(()),
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
    fn is_as_the_original_wrote_it() {
        let text = written(samples::run(), |writer| Box::new(VerboseLog::new(writer, NonZeroUsize::new(2).unwrap())));
        insta::assert_snapshot!(text.replace('\t', "→"), @r"
        ~~epoch→hours→top1→top5
        Dataset changed.
        Image size: 48
        Batch size: 32
        Train Directory: photos/train
        Validation Directory: photos/validation
        Changing LR from None to 0.05
        Epoch: [0][2/3]→Time 0.250 (0.250)→Loss 2.1500 (2.2125)→Acc@1 12.500 (9.375)→Acc@5 25.000 (18.750)→Data 0.002 (0.002)
        Epoch: [0][3/3]→Time 0.250 (0.250)→Loss 2.0250 (2.1500)→Acc@1 18.750 (12.500)→Acc@5 37.500 (25.000)→Data 0.002 (0.002)
        Test:  [0][1/1]→Time 1.500 (1.500)→Loss 2.0625 (2.0625)→Acc@1 17.500 (17.500)→Acc@5 62.500 (62.500)
        ~~0→0.00125→→17.500→→62.500
        Dataset changed.
        Image size: 64
        Batch size: 32
        Train Directory: photos-sz/64/train
        Validation Directory: photos/validation
        Batch size changed: 16
        Changing LR from 0.15 to 1.0
        Epoch: [1][3/3]→Time 0.250 (0.250)→Loss 1.6500 (1.7750)→Acc@1 37.500 (31.250)→Acc@5 75.000 (62.500)→Data 0.002 (0.002)→BW 1.500 2.250
        ~~1→0.00250→→77.500→→97.500
        Warning: 2 photos were skipped
        ");
    }

    #[test]
    fn prints_every_so_many_steps_and_the_last() {
        for (print_freq, want) in [(1, 5), (2, 3), (3, 2), (5, 1), (9, 1)] {
            let steps = (1..=5).map(|step| (samples::stamp(0.0), Event::Step(samples::step(0, step, 5)))).collect();
            let text =
                written(steps, |writer| Box::new(VerboseLog::new(writer, NonZeroUsize::new(print_freq).unwrap())));
            assert_eq!(text.lines().count(), want, "print_freq {print_freq}");
            assert!(text.contains("[5/5]"), "print_freq {print_freq}");
        }
    }
}

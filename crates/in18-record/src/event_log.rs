//! `event.log`: changes, and one line for each epoch, as the original wrote it.

use crate::line_file::LineFile;
use crate::recorder::Sink;
use crate::text::event_lines;
use crate::{Event, Marks, Opening, RecordError, Stamp};
use std::io::Write;
use std::path::Path;

/// The header `~~epoch\thours\ttop1\ttop5`, then a line `~~…` for each epoch. Between them are
/// lines for changes of data set, batch size and learning rate, and for warnings.
pub struct EventLog(LineFile);

impl EventLog {
    /// Writes to a writer, e.g. a file opened for appending.
    pub fn new(writer: impl Write + Send + 'static) -> Self {
        Self(LineFile::new("event.log", writer))
    }

    /// Makes the file, or continues the one that is there.
    ///
    /// # Errors
    /// [`RecordError::Create`].
    pub fn open(path: &Path, opening: Opening<'_>) -> Result<Self, RecordError> {
        Ok(Self(LineFile::open(path, opening)?))
    }
}

impl Sink for EventLog {
    fn record(&mut self, _: Stamp, event: &Event) -> Result<(), RecordError> {
        match event_lines(event) {
            Some(text) => {
                self.0.line(&text)?;
                self.0.flush()
            }
            None => Ok(()),
        }
    }

    fn mark(&mut self, marks: &mut Marks) -> Result<(), RecordError> {
        self.0.mark(marks)
    }

    fn close(mut self: Box<Self>) -> Result<(), RecordError> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{self, written};

    #[test]
    fn is_as_the_original_wrote_it() {
        let text = written(samples::run(), |writer| Box::new(EventLog::new(writer)));
        insta::assert_snapshot!(text.replace('\t', "→"), @r"
        ~~epoch→hours→top1→top5
        Dataset changed.
        Image size: 48
        Batch size: 32
        Train Directory: photos/train
        Validation Directory: photos/validation
        Changing LR from None to 0.05
        ~~0→0.00125→→17.500→→62.500
        Dataset changed.
        Image size: 64
        Batch size: 32
        Train Directory: photos-sz/64/train
        Validation Directory: photos/validation
        Batch size changed: 16
        Changing LR from 0.15 to 1.0
        ~~1→0.00250→→77.500→→97.500
        Warning: 2 photos were skipped
        ");
    }
}

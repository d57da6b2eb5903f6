//! A text output that other programs read while it grows.

use crate::RecordError;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Lines to a writer, buffered; what it is called serves error messages.
pub(crate) struct LineFile {
    name: String,
    writer: BufWriter<Box<dyn Write + Send>>,
}

impl LineFile {
    pub(crate) fn new(name: impl Into<String>, writer: impl Write + Send + 'static) -> Self {
        Self { name: name.into(), writer: BufWriter::new(Box::new(writer)) }
    }

    /// Makes the file, or empties the one that is there.
    pub(crate) fn create(path: &Path) -> Result<Self, RecordError> {
        let file = File::create(path).map_err(|cause| RecordError::Create { path: path.to_path_buf(), cause })?;
        Ok(Self::new(path.display().to_string(), file))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Adds a line; `text` comes without its line break.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), RecordError> {
        let result = writeln!(self.writer, "{text}");
        self.named(result)
    }

    /// Hands all lines so far to the system.
    pub(crate) fn flush(&mut self) -> Result<(), RecordError> {
        let result = self.writer.flush();
        self.named(result)
    }

    fn named(&self, result: std::io::Result<()>) -> Result<(), RecordError> {
        result.map_err(|cause| RecordError::Write { name: self.name.clone(), cause })
    }
}

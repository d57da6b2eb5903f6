//! A text output that other programs read while it grows.

use crate::{Marks, Opening, RecordError};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

/// A buffered writer of lines. Its name is for error messages.
pub(crate) struct LineFile {
    name: String,
    /// The file's name within the run's folder, for its mark; `None` if the writer is no file
    /// there.
    file_name: Option<String>,
    writer: BufWriter<Box<dyn Write + Send>>,
    /// The number of bytes before the next line.
    length: u64,
}

impl LineFile {
    pub(crate) fn new(name: impl Into<String>, writer: impl Write + Send + 'static) -> Self {
        Self { name: name.into(), file_name: None, writer: BufWriter::new(Box::new(writer)), length: 0 }
    }

    pub(crate) fn open(path: &Path, opening: Opening<'_>) -> Result<Self, RecordError> {
        let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let (file, length) = open_at(path, opening, file_name.as_deref().unwrap_or_default())
            .map_err(|cause| RecordError::Create { path: path.to_path_buf(), cause })?;
        Ok(Self { file_name, length, ..Self::new(path.display().to_string(), file) })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Adds a line; `text` comes without its line break.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), RecordError> {
        let result = writeln!(self.writer, "{text}");
        self.length += text.len() as u64 + 1;
        self.named(result)
    }

    /// Flushes all lines so far.
    pub(crate) fn flush(&mut self) -> Result<(), RecordError> {
        let result = self.writer.flush();
        self.named(result)
    }

    /// Flushes, and notes the file's length.
    pub(crate) fn mark(&mut self, marks: &mut Marks) -> Result<(), RecordError> {
        self.flush()?;
        if let Some(file_name) = &self.file_name {
            marks.set(file_name, self.length);
        }
        Ok(())
    }

    fn named(&self, result: std::io::Result<()>) -> Result<(), RecordError> {
        result.map_err(|cause| RecordError::Write { name: self.name.clone(), cause })
    }
}

/// The file, ready to be written at its end, and its length.
fn open_at(path: &Path, opening: Opening<'_>, file_name: &str) -> std::io::Result<(File, u64)> {
    let Opening::Continue(marks) = opening else { return Ok((File::create(path)?, 0)) };
    let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    if let Some(mark) = marks.get(file_name).filter(|&mark| file.metadata().is_ok_and(|file| file.len() > mark)) {
        file.set_len(mark)?;
    }
    let length = file.seek(SeekFrom::End(0))?;
    Ok((file, length))
}

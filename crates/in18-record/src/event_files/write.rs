//! Writing an event file.

use std::io::{self, Write};

use prost::Message;

use super::message::{Event, FILE_VERSION, SESSION_START, SessionLog, Summary, Value, What};
use super::record;

/// Appends events to a writer. Buffers nothing: give it a buffered writer.
pub struct EventWriter<W> {
    writer: W,
    length: u64,
    /// Records on their way; memory that is reused.
    bytes: Vec<u8>,
}

impl<W: Write> EventWriter<W> {
    /// Begins a file at a Unix time in seconds.
    ///
    /// # Errors
    /// The writer's.
    pub fn new(writer: W, unix: f64) -> io::Result<Self> {
        let mut events = Self { writer, length: 0, bytes: Vec::new() };
        events.event(&Event { wall_time: unix, step: 0, what: Some(What::FileVersion(FILE_VERSION.to_owned())) })?;
        Ok(events)
    }

    /// Says that what comes replaces whatever files of the same folder hold for `step` and later ones.
    ///
    /// # Errors
    /// The writer's.
    pub fn restart(&mut self, unix: f64, step: u64) -> io::Result<()> {
        let what = What::SessionLog(SessionLog { status: SESSION_START });
        self.event(&Event { wall_time: unix, step: step as i64, what: Some(what) })
    }

    /// Writes scalars of one step.
    ///
    /// # Errors
    /// The writer's.
    pub fn scalars(&mut self, unix: f64, step: u64, scalars: &[(&str, f64)]) -> io::Result<()> {
        let value = scalars
            .iter()
            .map(|&(tag, value)| Value { tag: tag.to_owned(), simple_value: Some(value as f32), tensor: None })
            .collect();
        self.event(&Event { wall_time: unix, step: step as i64, what: Some(What::Summary(Summary { value })) })
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// The writer's.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// Bytes so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.bytes.clear();
        record::append(&mut self.bytes, &event.encode_to_vec());
        self.length += self.bytes.len() as u64;
        self.writer.write_all(&self.bytes)
    }
}

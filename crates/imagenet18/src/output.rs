//! Writes to standard output and error without a panic: a pipe closed by its reader is no error.

use std::io::{self, Write};

use anyhow::{Context, Result};

/// Writes to standard output. A reader that has closed the pipe wants no text: no error.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to standard output"),
    }
}

/// Writes text unchanged to standard error, for lines that are redrawn. Ignores failures.
pub fn show(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// Writes a line to standard error. If that fails, there is no other place to report it.
pub fn complain(line: &str) {
    // In one write, because other ranks write to the same terminal.
    let _ = io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

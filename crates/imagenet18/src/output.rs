//! Writing to standard output and standard error without a panic: a pipe whose reader has gone is no mistake.

use std::io::{self, Write};

use anyhow::{Context, Result};

/// Writes to standard output. If the reader has gone, there is nobody to write for, and that is all right.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to standard output"),
    }
}

/// Writes to standard error as it is, as lines that are written over. If that fails, nobody is looking.
pub fn show(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// Writes a line to standard error. If that fails, there is no other place to say so.
pub fn complain(line: &str) {
    // In one piece: other ranks write to the same terminal.
    let _ = io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

//! The folder that a run leaves behind, and the sinks that write into it.

use std::fs;
use std::io::IsTerminal;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::Result;
use in18_record::{ConsoleBar, ConsoleLines, DebugLog, EventLog, Jsonl, Opening, Recorder, Sink, VerboseLog};
use in18_train::TrainError;

use crate::exit::Usage;

/// A folder's name made unique by the time of day: `prefix-20181031-235959`, UTC.
pub fn stamped(prefix: &str) -> PathBuf {
    PathBuf::from(format!("{prefix}-{}", jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S")))
}

/// A run's folder.
pub struct Logdir {
    path: PathBuf,
}

impl Logdir {
    /// Makes the folder, if need be. One that holds a run already is refused: nothing is overwritten.
    pub fn create(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).map_err(|cause| TrainError::Write { path: path.to_owned(), cause })?;
        let logdir = Logdir { path: path.to_owned() };
        if logdir.event_log().exists() {
            let path = path.display();
            return Err(Usage(format!(
                "--logdir {path}: expected an empty or new folder, got one that holds a run (event.log): name another"
            ))
            .into());
        }
        Ok(logdir)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the trained parameters go.
    pub fn parameters(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// All logs, and the console: a bar on a terminal, plain lines elsewhere.
    pub fn recorder(&self, print_freq: NonZeroUsize) -> Result<Recorder> {
        let console: Box<dyn Sink> = if std::io::stderr().is_terminal() {
            Box::new(ConsoleBar::stderr())
        } else {
            Box::new(ConsoleLines::new(std::io::stderr(), print_freq))
        };
        Ok(Recorder::new(vec![
            console,
            Box::new(EventLog::open(&self.event_log(), Opening::New)?),
            Box::new(VerboseLog::open(&self.path.join("verbose.log"), Opening::New, print_freq)?),
            Box::new(DebugLog::open(&self.path.join("debug.log"), Opening::New)?),
            Box::new(Jsonl::open(&self.path.join("metrics.jsonl"), Opening::New)?),
        ]))
    }

    fn event_log(&self) -> PathBuf {
        self.path.join("event.log")
    }
}

/// The log of a run that is there, for reading.
pub fn metrics(logdir: &Path) -> Result<PathBuf> {
    let path = logdir.join("metrics.jsonl");
    if path.is_file() {
        return Ok(path);
    }
    let got = match (logdir.is_dir(), logdir.exists()) {
        (true, _) => "a folder without metrics.jsonl",
        (false, true) => "a file",
        (false, false) => "nothing there",
    };
    let logdir = logdir.display();
    Err(Usage(format!("LOGDIR {logdir}: expected the folder of a run, got {got}: name what `train` had as --logdir"))
        .into())
}

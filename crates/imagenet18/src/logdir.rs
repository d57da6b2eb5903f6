//! The folder that a run leaves behind, and the sinks that write into it.

use std::fs::{self, File};
use std::io::{IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::Result;
use in18_record::{
    ConsoleBar, ConsoleLines, DebugLog, EventLog, Jsonl, Opening, Recorder, Sink, TensorBoard, VerboseLog,
};
use in18_system::proc;
use in18_train::TrainError;

use crate::exit::Usage;

/// A folder name made unique by the time in UTC: `prefix-20181031-235959`.
pub fn stamped(prefix: &str) -> PathBuf {
    PathBuf::from(format!("{prefix}-{}", jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S")))
}

/// A run's folder. This process holds it until this is dropped.
pub struct Logdir {
    path: PathBuf,
    /// Locked. The system unlocks the file when the process ends, however it ends.
    _lock: File,
}

impl Logdir {
    /// Makes the folder if it does not exist, and locks it. Refused if another run holds it.
    pub fn open(path: &Path) -> Result<Self> {
        let write = |path: &Path, cause| TrainError::Write { path: path.to_owned(), cause };
        fs::create_dir_all(path).map_err(|cause| write(path, cause))?;
        let lock = path.join(".lock");
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&lock)
            .map_err(|cause| write(&lock, cause))?;
        if file.try_lock().is_err() {
            let owner = fs::read_to_string(&lock).unwrap_or_default();
            let path = path.display();
            return Err(Usage(format!(
                "--logdir {path}: expected a folder that no run is using, got one in use by process {}: wait for its \
                 end, or name another",
                owner.trim()
            ))
            .into());
        }
        // The number is only for the message above. The lock works without it.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Logdir { path: path.to_owned(), _lock: file })
    }

    /// The error for a folder that holds a run: nothing is overwritten.
    pub fn is_taken(&self) -> anyhow::Error {
        let path = self.path.display();
        Usage(format!(
            "--logdir {path}: expected an empty or new folder, got one that holds a run (event.log): name another, or go \
             on with that run by --resume auto"
        ))
        .into()
    }

    /// Refuses a folder that has TensorBoard files but no run, because they are someone else's. A
    /// new run removes only what its own earlier attempt left.
    pub fn refuse_foreign_events(&self) -> Result<()> {
        let events = in18_record::event_files::list(&self.path).unwrap_or_default();
        let Some(events) = events.first().filter(|_| !self.holds_a_run()) else { return Ok(()) };
        let (path, events) = (self.path.display(), events.display());
        Err(Usage(format!("--logdir {path}: expected an empty or new folder, got one with {events}: name another"))
            .into())
    }

    /// Whether a run has begun in this folder.
    pub fn holds_a_run(&self) -> bool {
        self.event_log().exists()
    }

    /// Whether a checkpoint belongs to the run in this folder.
    pub fn holds(&self, checkpoint: &Path) -> bool {
        let real = |path: &Path| fs::canonicalize(path).ok();
        let same = |one: Option<PathBuf>, other: &Path| one.is_some() && one == real(other);
        same(checkpoint.parent().and_then(real), &self.checkpoints()) || same(real(checkpoint), &self.best())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the trained parameters go.
    pub fn parameters(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// Where checkpoints go.
    pub fn checkpoints(&self) -> PathBuf {
        checkpoints(&self.path)
    }

    /// The best epoch's checkpoint.
    pub fn best(&self) -> PathBuf {
        self.path.join("model_best.safetensors")
    }

    /// Opens all logs, new or continued, and the console: a bar on a terminal, else plain lines.
    pub fn recorder(&self, opening: Opening<'_>, print_freq: NonZeroUsize) -> Result<Recorder> {
        let file = |name: &str| self.path.join(name);
        Ok(Recorder::new(vec![
            console(print_freq),
            Box::new(EventLog::open(&self.event_log(), opening)?),
            Box::new(VerboseLog::open(&file("verbose.log"), opening, print_freq)?),
            Box::new(DebugLog::open(&file("debug.log"), opening)?),
            Box::new(Jsonl::open(&file("metrics.jsonl"), opening)?),
            Box::new(TensorBoard::open(&self.path, opening, &host(), print_freq)?),
        ]))
    }

    fn event_log(&self) -> PathBuf {
        self.path.join("event.log")
    }
}

/// Where the checkpoints of the run in a folder are.
pub fn checkpoints(logdir: &Path) -> PathBuf {
    logdir.join("checkpoints")
}

/// This machine's name, for the names of TensorBoard files.
fn host() -> String {
    let name = proc::host_name().unwrap_or_default();
    let plain: String = name.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect();
    if plain.is_empty() { "localhost".to_owned() } else { plain }
}

fn console(print_freq: NonZeroUsize) -> Box<dyn Sink> {
    if std::io::stderr().is_terminal() {
        Box::new(ConsoleBar::stderr())
    } else {
        Box::new(ConsoleLines::new(std::io::stderr(), print_freq))
    }
}

/// The log of an existing run, for reading.
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

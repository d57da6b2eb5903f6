//! The folder of a run's checkpoints.
//!
//! A thread of its own writes the checkpoints. Training waits only for a copy of the state: two
//! buffers go back and forth.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use in18_program::ModelState;

use crate::checkpoint::file::{About, Checkpoint, Tables};
use crate::error::{CheckpointError, TrainError};
use in18_system::{TEMPORARY, WholeFile};

/// Where checkpoints go, and when one is written.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckpointOptions {
    /// Their folder; made if it is not there.
    pub folder: PathBuf,
    /// The file of the best epoch's checkpoint.
    pub best: PathBuf,
    /// The top-5, in percent, that an epoch must exceed to become `best`.
    pub best_top5: f64,
    /// Seconds between two checkpoints within an epoch.
    pub every_seconds: f64,
    /// How many stay in the folder.
    pub keep: NonZeroUsize,
}

/// The name of a checkpoint. Names sort as the steps do: 10 digits hold more steps than any run
/// has.
fn name(steps: u64) -> String {
    format!("{PREFIX}{steps:010}{SUFFIX}")
}

const PREFIX: &str = "step-";
const SUFFIX: &str = ".safetensors";

/// The end of the name of a checkpoint that was set aside, because its run was continued from an
/// earlier one.
const ABANDONED: &str = ".abandoned";

/// The checkpoints in a folder, oldest first.
fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// The newest whole checkpoint of a folder.
#[derive(Debug)]
pub struct Found {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// What is wrong with each newer checkpoint that is damaged.
    pub damaged: Vec<CheckpointError>,
}

/// Finds the newest whole checkpoint; `None` if there are no checkpoints at all.
///
/// # Errors
/// [`CheckpointError::NoneWhole`], [`CheckpointError::Unreadable`], or that the newest whole
/// checkpoint is of another network or version.
pub fn newest(folder: &Path, tables: &Tables) -> Result<Option<Found>, CheckpointError> {
    let paths = match list(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        listed => listed.map_err(|cause| CheckpointError::Unreadable { path: folder.to_owned(), cause })?,
    };
    let mut damaged = Vec::new();
    for path in paths.iter().rev() {
        match Checkpoint::read(path, tables) {
            Ok(checkpoint) => return Ok(Some(Found { checkpoint, damaged })),
            Err(error @ (CheckpointError::Damaged { .. } | CheckpointError::Unreadable { .. })) => damaged.push(error),
            Err(error) => return Err(error),
        }
    }
    match damaged.first() {
        None => Ok(None),
        Some(newest) => {
            let (folder, count, newest) = (folder.to_owned(), damaged.len(), newest.to_string());
            Err(CheckpointError::NoneWhole { folder, count, newest })
        }
    }
}

/// A checkpoint that is on disk.
#[derive(Debug)]
pub struct Written {
    /// Its file.
    pub path: PathBuf,
    /// The epoch in which it was taken.
    pub epoch: usize,
    /// The number of that epoch's steps that were done.
    pub step: usize,
}

struct Job {
    state: ModelState,
    about: Box<About>,
    is_best: bool,
}

/// The folder of a running run's checkpoints, and the thread that writes into it.
pub struct Store {
    folder: PathBuf,
    jobs: Option<SyncSender<Job>>,
    results: Receiver<(Result<Written, TrainError>, ModelState)>,
    /// Buffers that wait for the next copy.
    spare: Vec<ModelState>,
    thread: Option<JoinHandle<()>>,
    latest: Option<PathBuf>,
}

impl Store {
    /// Opens the folder for a run that has done `steps` steps. Files that are not whole are
    /// removed. Checkpoints of later steps are set aside, also the best epoch's.
    ///
    /// # Errors
    /// [`TrainError::Write`].
    pub fn open(options: CheckpointOptions, tables: Tables, steps: u64) -> Result<Self, TrainError> {
        let folder = options.folder.clone();
        let write = |path: &Path, cause| TrainError::Write { path: path.to_owned(), cause };
        let latest = prepare(&folder, steps).map_err(|cause| write(&folder, cause))?;
        if Checkpoint::read(&options.best, &tables).is_ok_and(|best| best.about.progress.steps > steps) {
            set_aside(&options.best).map_err(|cause| write(&options.best, cause))?;
        }
        // At most one job waits. If training is faster than the disk, it waits instead of filling
        // memory.
        let (jobs, taken) = sync_channel::<Job>(1);
        let (done, results) = channel();
        let thread = std::thread::Builder::new()
            .name("checkpoints".to_owned())
            .spawn(move || {
                for Job { state, about, is_best } in taken {
                    let written = write_job(&options, &tables, &about, &state, is_best);
                    // If the trainer is gone, nobody needs the answer.
                    let _ = done.send((written, state));
                }
            })
            .map_err(|cause| write(&folder, cause))?;
        Ok(Store { folder, jobs: Some(jobs), results, spare: Vec::new(), thread: Some(thread), latest })
    }

    /// The last checkpoint that is whole, in words for a message.
    pub fn kept(&self) -> String {
        match &self.latest {
            Some(path) => format!("the last good checkpoint is {}", path.display()),
            None => "there is no checkpoint yet".to_owned(),
        }
    }

    /// The file of the last checkpoint that is whole.
    pub fn latest(&self) -> Option<PathBuf> {
        self.latest.clone()
    }

    /// A buffer for a copy of the state.
    pub fn buffer(&mut self) -> ModelState {
        self.spare.pop().unwrap_or_default()
    }

    /// Queues a checkpoint to be written. Waits while one is being written and another one is
    /// queued.
    ///
    /// # Errors
    /// [`TrainError::Write`] if the writing thread has ended. A run that cannot be saved must not
    /// go on.
    pub fn submit(&mut self, state: ModelState, about: About, is_best: bool) -> Result<(), TrainError> {
        let job = Job { state, about: Box::new(about), is_best };
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        let ended = || io::Error::other("the thread that writes checkpoints has ended");
        sent.then_some(()).ok_or_else(|| TrainError::Write { path: self.folder.clone(), cause: ended() })
    }

    /// The checkpoints that were written since the last call.
    pub fn written(&mut self) -> Vec<Result<Written, TrainError>> {
        let results: Vec<_> = self.results.try_iter().collect();
        results.into_iter().map(|result| self.take_in(result)).collect()
    }

    /// Waits until everything is written.
    pub fn finish(&mut self) -> Vec<Result<Written, TrainError>> {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // If the thread panicked, a checkpoint is lost. Earlier checkpoints are still whole.
            let _ = thread.join();
        }
        self.written()
    }

    fn take_in(&mut self, (result, state): (Result<Written, TrainError>, ModelState)) -> Result<Written, TrainError> {
        self.spare.push(state);
        if let Ok(written) = &result {
            self.latest = Some(written.path.clone());
        }
        result.map_err(|error| match error {
            TrainError::StateNotFinite { epoch, step, .. } => {
                TrainError::StateNotFinite { epoch, step, kept: self.kept() }
            }
            other => other,
        })
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Makes the folder, removes files that are not whole, and sets later checkpoints aside. Returns
/// the newest checkpoint that stays.
fn prepare(folder: &Path, steps: u64) -> io::Result<Option<PathBuf>> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_str().is_some_and(|path| path.ends_with(TEMPORARY)) {
            fs::remove_file(path)?;
        }
    }
    let (kept, later): (Vec<_>, Vec<_>) =
        list(folder)?.into_iter().partition(|path| path.file_name().is_some_and(|own| own <= OsStr::new(&name(steps))));
    for path in later {
        set_aside(&path)?;
    }
    Ok(kept.into_iter().next_back())
}

/// Takes a checkpoint out of the run, and keeps its file.
fn set_aside(path: &Path) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(ABANDONED);
    fs::rename(path, aside)
}

fn write_job(
    options: &CheckpointOptions,
    tables: &Tables,
    about: &About,
    state: &ModelState,
    is_best: bool,
) -> Result<Written, TrainError> {
    let (epoch, step) = (about.progress.epoch, about.progress.step);
    if !is_finite(state) {
        return Err(TrainError::StateNotFinite { epoch, step, kept: String::new() });
    }
    let path = options.folder.join(name(about.progress.steps));
    sync_logs(&options.folder, about);
    Checkpoint::write(&path, tables, about, state)?;
    if is_best {
        // A second name for the file costs nothing. Where the system has none, the file is copied.
        let link =
            |temporary: &Path| fs::hard_link(&path, temporary).or_else(|_| fs::copy(&path, temporary).map(|_| ()));
        WholeFile::new(&options.best)
            .and_then(|best| best.make_durably(link))
            .map_err(|cause| TrainError::Write { path: options.best.clone(), cause })?;
    }
    prune(&options.folder, options.keep).map_err(|cause| TrainError::Write { path: options.folder.clone(), cause })?;
    Ok(Written { path, epoch, step })
}

/// Syncs the logs that a checkpoint vouches for, before the checkpoint itself is on disk. A power
/// cut then leaves no gap. If a log cannot be synced, the checkpoint is still written: it is worth
/// more than the log.
fn sync_logs(folder: &Path, about: &About) {
    let Some(logdir) = folder.parent() else { return };
    for (name, _) in about.marks.iter() {
        let _ = File::open(logdir.join(name)).and_then(|file| file.sync_data());
    }
}

fn prune(folder: &Path, keep: NonZeroUsize) -> io::Result<()> {
    let paths = list(folder)?;
    for path in &paths[..paths.len().saturating_sub(keep.get())] {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Whether every stored number is finite.
fn is_finite(state: &ModelState) -> bool {
    state.slots.iter().all(|(_, bytes)| {
        let (numbers, _) = bytes.as_chunks::<4>();
        // All bits of the exponent set: infinite or NaN.
        numbers.iter().all(|&number| u32::from_le_bytes(number) & 0x7f80_0000 != 0x7f80_0000)
    })
}

#[cfg(test)]
mod tests {
    use in18_program::PARAMETERS;

    use super::*;

    #[test]
    fn names_sort_as_steps_do() {
        let mut names = [name(10), name(9), name(123_456_789), name(0)];
        names.sort();
        assert_eq!(names, [name(0), name(9), name(10), name(123_456_789)]);
    }

    #[test]
    fn numbers_that_are_none_are_seen() {
        let state = |number: f32| ModelState { slots: vec![(PARAMETERS, number.to_le_bytes().to_vec())] };
        assert!(is_finite(&state(f32::MAX)) && is_finite(&state(-1e-40)));
        for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(!is_finite(&state(number)), "{number}");
        }
    }

    #[test]
    fn a_folder_is_prepared_for_the_step_that_a_run_goes_on_from() {
        let folder = tempfile::tempdir().unwrap();
        let touch = |name: &str| fs::write(folder.path().join(name), "x").unwrap();
        for steps in [5, 7, 9] {
            touch(&name(steps));
        }
        touch("step-0000000009.safetensors.123.tmp");
        assert_eq!(prepare(folder.path(), 7).unwrap(), Some(folder.path().join(name(7))));
        assert_eq!(list(folder.path()).unwrap(), [folder.path().join(name(5)), folder.path().join(name(7))]);
        assert!(folder.path().join(name(9) + ABANDONED).exists());
        prune(folder.path(), NonZeroUsize::MIN).unwrap();
        assert_eq!(list(folder.path()).unwrap(), [folder.path().join(name(7))]);
    }
}

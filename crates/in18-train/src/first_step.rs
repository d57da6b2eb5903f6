//! Watches the first step of a run, or of an image size. If the step is not done after some
//! seconds, a line says what it is doing. The first step compiles its program and waits for the
//! first images, so whatever makes a run slow from its beginning shows there.
//!
//! A thread of its own prints the line, because the computing thread may be in a single operation
//! for a minute. The printing thread writes nothing that the step reads.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use in18_program::{Model, Size};

/// How long a first step may take before a line says what it is doing.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What the line says of a step.
#[derive(Clone, Debug)]
pub struct StepName {
    /// Such as `step 1 of epoch 0`.
    pub place: String,
    /// The batch.
    pub size: Size,
    /// What would help if computing takes long.
    pub remedy: String,
}

/// What a step is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Compiling the program of this size.
    Compiling,
    /// Reading images' headers for rectangular validation.
    ReadingSizes,
    /// Waiting for the batch's images.
    Loading,
    /// Forward, backward and update.
    Computing,
    /// Waiting for the other ranks.
    Exchanging,
    /// Waiting for a device that computes by itself.
    Finishing,
}

impl Doing {
    /// What the step is doing, in words, and what would help.
    fn words(self, step: &StepName) -> (&'static str, String) {
        match self {
            Doing::Compiling => {
                ("compiling the program", "each image size does so once, so fewer sizes would help".to_owned())
            }
            Doing::ReadingSizes => (
                "reading the size of every validation image",
                "shards have them at hand (`imagenet18 data prepare`), or leave out 'rect_val'".to_owned(),
            ),
            Doing::Loading => (
                "waiting for its images",
                "lower 'bs', prepare smaller images (`imagenet18 data prepare`), keep them on a faster disk, or give more \
                 --workers"
                    .to_owned(),
            ),
            Doing::Computing => ("computing", step.remedy.clone()),
            Doing::Finishing => ("waiting for the device, where all has been started", step.remedy.clone()),
            Doing::Exchanging => (
                "waiting for other ranks",
                "look what the slowest of them is doing; the network between machines may be slow".to_owned(),
            ),
        }
    }
}

/// Watches a first step until it is dropped.
pub struct FirstStep {
    watched: Arc<Watched>,
    /// `None` if the system gave no thread. The step then goes unwatched.
    thread: Option<JoinHandle<()>>,
}

impl FirstStep {
    /// Watches a step that begins now with `doing`. If the step takes longer than `patience`, `say`
    /// gets a line.
    pub fn watch(step: StepName, doing: Doing, patience: Duration, say: impl FnOnce(String) + Send + 'static) -> Self {
        let now = Instant::now();
        let state = State { doing, since: now, operation: None, slowest: None, is_over: false };
        let watched = Arc::new(Watched { state: Mutex::new(state), over: Condvar::new() });
        let theirs = Arc::clone(&watched);
        let thread = thread::Builder::new().name("first step".to_owned()).spawn(move || {
            if let Some(line) = theirs.outlasts(patience, &step) {
                say(line);
            }
        });
        FirstStep { watched, thread: thread.ok() }
    }

    /// Says what the step is doing from now on.
    pub fn does(&self, doing: Doing) {
        let mut state = self.watched.lock();
        state.finish_operation();
        (state.doing, state.since) = (doing, Instant::now());
    }

    /// Has a model say which operation it begins, until [`Model::forget_watcher`].
    pub fn follow(&self, model: &mut Model) {
        let watched = Arc::clone(&self.watched);
        model.watch(move |number, of, operation| {
            watched.lock().begin_operation(number + 1, of, operation.label());
        });
    }
}

impl Drop for FirstStep {
    fn drop(&mut self) {
        self.watched.lock().is_over = true;
        self.watched.over.notify_all();
        if let Some(thread) = self.thread.take() {
            // If a line is being written, it must come before whatever is said next.
            let _ = thread.join();
        }
    }
}

/// What both threads know.
struct Watched {
    state: Mutex<State>,
    over: Condvar,
}

struct State {
    doing: Doing,
    since: Instant,
    operation: Option<Operation>,
    /// The slowest operation that has ended: its label and its time.
    slowest: Option<(String, Duration)>,
    is_over: bool,
}

/// The operation that is running.
struct Operation {
    /// Its number, counted from 1.
    number: usize,
    /// The number of all operations of the step.
    of: usize,
    /// Name and shapes.
    label: String,
    since: Instant,
}

impl Watched {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the end of the step. Returns the line if the step takes longer than `patience`.
    fn outlasts(&self, patience: Duration, step: &StepName) -> Option<String> {
        let waited = self.over.wait_timeout_while(self.lock(), patience, |state| !state.is_over);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (!state.is_over).then(|| state.line(patience, step))
    }
}

impl State {
    fn begin_operation(&mut self, number: usize, of: usize, label: String) {
        self.finish_operation();
        self.operation = Some(Operation { number, of, label, since: Instant::now() });
    }

    fn finish_operation(&mut self) {
        let Some(Operation { label, since, .. }) = self.operation.take() else { return };
        let took = since.elapsed();
        if self.slowest.as_ref().is_none_or(|(_, most)| took > *most) {
            self.slowest = Some((label, took));
        }
    }

    fn line(&self, patience: Duration, step: &StepName) -> String {
        let StepName { place, size: Size { batch, height, width }, .. } = step;
        let (doing, remedy) = self.doing.words(step);
        let mut line = format!(
            "the first step with {batch} images of {width} x {height} pixels ({place}) is not done after {}: it is {doing}",
            seconds(patience)
        );
        match &self.operation {
            Some(Operation { number, of, label, since }) => {
                line += &format!(" operation {number} of {of}, {label}, for {}", seconds(since.elapsed()));
            }
            None => line += &format!(", for {}", seconds(self.since.elapsed())),
        }
        if let Some((label, took)) = &self.slowest {
            line += &format!(" (the slowest before: {label}, {})", seconds(*took));
        }
        line + ": " + &remedy
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    fn step() -> StepName {
        let size = Size { batch: 32, height: 64, width: 64 };
        StepName { place: "step 1 of epoch 0".to_owned(), size, remedy: "take a smaller batch".to_owned() }
    }

    /// The line that is printed while the step runs.
    fn line(does: impl FnOnce(&FirstStep)) -> String {
        let (send, receive) = mpsc::channel();
        let first = FirstStep::watch(step(), Doing::Compiling, Duration::from_millis(300), move |line| {
            send.send(line).unwrap()
        });
        does(&first);
        receive.recv_timeout(LONG).unwrap()
    }

    #[test]
    fn a_single_operation_that_does_not_end_is_named() {
        let line = line(|first| {
            first.does(Doing::Computing);
            let begin = |number, label: &str| first.watched.lock().begin_operation(number, 9, label.to_owned());
            begin(1, "Conv 32x3x64x64");
            thread::sleep(Duration::from_millis(20));
            begin(2, "BatchNorm 32x64x32x32");
            begin(3, "ConvBackwardWeight 32x512x2x2");
        });
        for part in [
            "the first step with 32 images of 64 x 64 pixels (step 1 of epoch 0) is not done after 0.3 s: it is computing",
            " operation 3 of 9, ConvBackwardWeight 32x512x2x2, for 0.",
            " (the slowest before: Conv 32x3x64x64, 0.0 s): take a smaller batch",
        ] {
            assert!(line.contains(part), "expected {part:?} in {line}");
        }
        assert_eq!(line.lines().count(), 1, "{line}");
    }

    #[test]
    fn each_thing_that_a_step_does_has_its_remedy() {
        for (doing, says) in [
            (Doing::Compiling, &["it is compiling the program, for 0.", "fewer sizes"][..]),
            (Doing::ReadingSizes, &["it is reading the size of every validation image", "'rect_val'"]),
            (Doing::Loading, &["it is waiting for its images, for 0.", "--workers"]),
            (Doing::Finishing, &["it is waiting for the device", "a smaller batch"]),
            (Doing::Exchanging, &["it is waiting for other ranks", "the slowest"]),
        ] {
            let line = line(|first| first.does(doing));
            assert!(says.iter().all(|part| line.contains(part)), "expected {says:?} in {line}");
        }
    }

    #[test]
    fn a_step_that_is_done_in_time_says_nothing() {
        let (send, receive) = mpsc::channel();
        drop(FirstStep::watch(step(), Doing::Compiling, LONG, move |line| send.send(line).unwrap()));
        // The thread has ended, and its sender is dropped.
        assert_eq!(receive.recv(), Err(mpsc::RecvError));
    }
}

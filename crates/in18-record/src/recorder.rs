//! Hands every event to every sink, and goes on without a sink that fails.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Event, Marks, RecordError, Stamp};

/// One format of the record. It only listens: nothing that it does reaches the run.
pub trait Sink: Send {
    /// Takes in an event. Whole lines are flushed where a reader would look for them.
    ///
    /// # Errors
    /// If the sink cannot go on. It is not called again.
    fn record(&mut self, stamp: Stamp, event: &Event) -> Result<(), RecordError>;

    /// Writes what it still holds back, and notes how long its files are. A sink without files
    /// notes nothing.
    ///
    /// # Errors
    /// If the sink cannot go on. It is not called again.
    fn mark(&mut self, marks: &mut Marks) -> Result<(), RecordError> {
        let _ = marks;
        Ok(())
    }

    /// Writes what it still holds back.
    ///
    /// # Errors
    /// If that fails.
    fn close(self: Box<Self>) -> Result<(), RecordError>;
}

/// All sinks of a run. Without sinks, events go nowhere. Copies hand events to the same sinks, from
/// any thread.
#[derive(Clone, Default)]
pub struct Recorder {
    sinks: Arc<Mutex<Sinks>>,
}

#[derive(Default)]
struct Sinks {
    /// The sinks that have not failed.
    going: Vec<Box<dyn Sink>>,
    failures: Vec<RecordError>,
}

impl Recorder {
    /// Hands events to these sinks, in this order.
    #[must_use]
    pub fn new(sinks: Vec<Box<dyn Sink>>) -> Self {
        Self { sinks: Arc::new(Mutex::new(Sinks { going: sinks, failures: Vec::new() })) }
    }

    /// Hands an event to all sinks. A sink that fails is dropped, and an [`Event::Warning`] tells
    /// the others: hours of training are worth more than a log.
    pub fn record(&mut self, stamp: Stamp, event: &Event) {
        let mut sinks = self.lock();
        let warnings = sinks.hand_out(|sink| sink.record(stamp, event));
        sinks.warn(stamp, warnings);
    }

    /// How long the files of all sinks are, with everything so far. A sink that fails is dropped as
    /// in [`record`](Self::record), and has no mark.
    pub fn marks(&mut self, stamp: Stamp) -> Marks {
        self.lock().marks(stamp)
    }

    /// Closes all sinks and returns every failure of the run, in order, including those during
    /// [`Recorder::record`]. The caller may tell them to the user once more. Events that copies
    /// record afterwards go nowhere.
    #[must_use]
    pub fn close(self) -> Vec<RecordError> {
        let Sinks { going, mut failures } = std::mem::take(&mut *self.lock());
        failures.extend(going.into_iter().filter_map(|sink| sink.close().err()));
        failures
    }

    /// If a sink panicked on another thread, the other sinks are as they were.
    fn lock(&self) -> MutexGuard<'_, Sinks> {
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sinks {
    fn marks(&mut self, stamp: Stamp) -> Marks {
        let mut marks = Marks::default();
        let warnings = self.hand_out(|sink| sink.mark(&mut marks));
        if warnings.is_empty() {
            return marks;
        }
        // The warnings have reached the other sinks, so their files are longer now.
        self.warn(stamp, warnings);
        self.marks(stamp)
    }

    fn warn(&mut self, stamp: Stamp, mut warnings: Vec<String>) {
        // A sink may fail on a warning, too. Each round has fewer sinks, so this ends.
        while let Some(text) = warnings.pop() {
            let warning = Event::Warning { text };
            warnings.extend(self.hand_out(|sink| sink.record(stamp, &warning)));
        }
    }

    /// Calls all sinks, and drops those that fail. Returns their messages.
    fn hand_out(&mut self, mut call: impl FnMut(&mut dyn Sink) -> Result<(), RecordError>) -> Vec<String> {
        let failures = &mut self.failures;
        let before = failures.len();
        self.going.retain_mut(|sink| match call(sink.as_mut()) {
            Ok(()) => true,
            Err(error) => {
                failures.push(error);
                false
            }
        });
        failures[before..].iter().map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{self, Shared};
    use crate::{DebugLog, EventLog};
    use std::io;

    /// Fails from its n-th event on.
    struct Failing {
        after: usize,
    }

    impl Sink for Failing {
        fn record(&mut self, _: Stamp, _: &Event) -> Result<(), RecordError> {
            match self.after.checked_sub(1) {
                Some(left) => {
                    self.after = left;
                    Ok(())
                }
                None => Err(RecordError::Write { name: "full.log".into(), cause: io::Error::other("disk full") }),
            }
        }

        fn close(self: Box<Self>) -> Result<(), RecordError> {
            Err(RecordError::Write { name: "late.log".into(), cause: io::Error::other("gone") })
        }
    }

    #[test]
    fn a_failing_sink_is_reported_once_and_does_not_stop_the_others() {
        let shared = Shared::default();
        let mut recorder = Recorder::new(vec![Box::new(Failing { after: 1 }), Box::new(EventLog::new(shared.clone()))]);
        for (stamp, event) in samples::run() {
            recorder.record(stamp, &event);
        }
        let failures = recorder.close();
        let log = shared.text();
        assert_eq!(failures.len(), 1, "{failures:?}");
        assert_eq!(log.matches("disk full").count(), 1, "{log}");
        assert_eq!(log.matches("~~1\t").count(), 1, "{log}");
    }

    #[test]
    fn sinks_that_all_fail_leave_a_recorder_that_does_nothing() {
        // The second sink fails on the warning about the first.
        let mut recorder = Recorder::new(vec![Box::new(Failing { after: 0 }), Box::new(Failing { after: 1 })]);
        for (stamp, event) in samples::run() {
            recorder.record(stamp, &event);
        }
        assert_eq!(recorder.close().len(), 2);
    }

    #[test]
    fn copies_record_from_other_threads_until_it_is_closed() {
        let shared = Shared::default();
        let mut recorder = Recorder::new(vec![Box::new(EventLog::new(shared.clone()))]);
        let mut copy = recorder.clone();
        let (stamp, start) = samples::run().remove(0);
        recorder.record(stamp, &start);
        let warning = |text: &str| Event::Warning { text: text.to_owned() };
        std::thread::scope(|scope| scope.spawn(|| copy.record(stamp, &warning("from a thread"))).join()).unwrap();
        assert!(recorder.close().is_empty());
        copy.record(stamp, &warning("too late"));
        let log = shared.text();
        assert!(log.contains("from a thread") && !log.contains("too late"), "{log}");
    }

    #[test]
    fn a_failure_to_close_is_returned() {
        let shared = Shared::default();
        let recorder = Recorder::new(vec![Box::new(Failing { after: 9 }), Box::new(DebugLog::new(shared))]);
        let failures = recorder.close();
        assert_eq!(failures.len(), 1);
        assert!(failures[0].to_string().contains("late.log"));
    }
}

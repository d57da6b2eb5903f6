//! Reads `metrics.jsonl`, while it grows or after its end.
//!
//! A line counts only once its line break is there: a run that is going on, or that was killed, may
//! leave half a line at the end. Events with unknown names are passed over, so that logs of later
//! versions can be read.

use crate::{Event, Stamp};
use serde::Deserialize;
use serde_json::Value;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Why a log cannot be read. One line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no such file, or it may not be read.
    #[error("cannot read {path}: {cause}; expected the metrics.jsonl of a run")]
    Open {
        /// The log.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A whole line is not an event.
    #[error("{path}, line {line}: expected an event as one JSON object, got {got}; restore the log or remove the line")]
    Damaged {
        /// The log.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        got: String,
    },
}

/// What is new in a log since it was last read.
#[derive(Debug, Default)]
pub struct News {
    /// Whether the log was cut back (by a continued run) or replaced. Whatever was read before must
    /// then be forgotten: `events` starts at the log's beginning.
    pub restarted: bool,
    /// Whole lines, in order.
    pub events: Vec<(Stamp, Event)>,
    /// Whether half a line stands at the end.
    pub truncated: bool,
}

/// Reads a log piece by piece.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    /// The numbers of bytes and lines that have been read.
    offset: u64,
    lines: usize,
    /// The latest whole line. If it is still at its place, the log was not cut back.
    latest: Vec<u8>,
}

impl Follower {
    /// Follows a log from its beginning. Opens nothing yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), offset: 0, lines: 0, latest: Vec::new() }
    }

    /// What is new since the last call. The first call returns everything.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn poll(&mut self) -> Result<News, ReadError> {
        let (bytes, restarted) =
            self.new_bytes().map_err(|cause| ReadError::Open { path: self.path.clone(), cause })?;
        let mut news = News { restarted, ..News::default() };
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            if !line.ends_with(b"\n") {
                news.truncated = true;
                break;
            }
            let parsed = parse(line).map_err(|got| {
                let line = self.lines + 1;
                ReadError::Damaged { path: self.path.clone(), line, got }
            })?;
            news.events.extend(parsed);
            self.offset += line.len() as u64;
            self.lines += 1;
            self.latest = line.to_vec();
        }
        Ok(news)
    }

    fn new_bytes(&mut self) -> io::Result<(Vec<u8>, bool)> {
        let mut file = File::open(&self.path)?;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(self.offset - self.latest.len() as u64))?;
        file.read_to_end(&mut bytes)?;
        if bytes.starts_with(&self.latest) {
            return Ok((bytes.split_off(self.latest.len()), false));
        }
        *self = Self::new(&self.path);
        bytes.clear();
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut bytes)?;
        Ok((bytes, true))
    }
}

/// The event of a line; `None` if this version does not know its name. The error says what the line
/// holds.
fn parse(line: &[u8]) -> Result<Option<(Stamp, Event)>, String> {
    // Parsed as a value first: the event at the end of a run has a field `seconds` of its own,
    // beside the stamp's.
    let value: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if !value["event"].is_string() {
        return Err("no `event`".to_owned());
    }
    match Event::deserialize(&value).map_err(|error| error.to_string())? {
        Event::Unknown => Ok(None),
        event => Ok(Some((Stamp::deserialize(&value).map_err(|error| error.to_string())?, event))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{self, written};
    use crate::{DataChange, GoalReached, Jsonl, Means};
    use proptest::prelude::*;
    use std::fs;

    /// Events as they are read back: fields that are not written have their defaults.
    fn readable(mut events: Vec<(Stamp, Event)>) -> Vec<(Stamp, Event)> {
        for (_, event) in &mut events {
            match event {
                Event::RunStart(run) => run.epoch_cost = vec![],
                Event::Step(step) => step.means = Means::default(),
                Event::EvalStep(step) => step.means = Means::default(),
                _ => {}
            }
        }
        events
    }

    fn log(events: Vec<(Stamp, Event)>) -> String {
        written(events, |writer| Box::new(Jsonl::new(writer)))
    }

    fn read(bytes: &[u8]) -> Result<News, ReadError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        fs::write(&path, bytes).unwrap();
        Follower::new(&path).poll()
    }

    #[test]
    fn reads_what_was_written() {
        let mut events = samples::run();
        let (epoch, step, path) = (1, 2, "a/b".to_owned());
        events.push((
            samples::stamp(1.0),
            Event::Resumed { epoch, step, images_seen: 96, from: path.clone(), world: None },
        ));
        events.push((samples::stamp(1.0), Event::Checkpoint { epoch, step, path }));
        let (goal, images_seen) = ("top5=93".to_owned(), 96);
        let goal = GoalReached { goal, epoch, hours: 0.5, images_seen, top1: 75.5, top5: 93.25 };
        events.push((samples::stamp(1.0), Event::GoalReached(goal)));
        let views =
            DataChange { val_size: Some(256), val_crop: Some(0.875), tta: Some("flip".to_owned()), ..samples::data() };
        events.push((samples::stamp(1.0), Event::DataChange(views)));
        events.push((samples::stamp(1.0), Event::Stopped { reason: "by SIGTERM".to_owned() }));
        let news = read(log(events.clone()).as_bytes()).unwrap();
        assert_eq!(news.events, readable(events));
        assert!(!news.truncated && !news.restarted);
    }

    #[test]
    fn null_is_nan() {
        let mut step = samples::step(0, 1, 2);
        step.loss = f64::NAN;
        let news = read(log(vec![(samples::stamp(0.0), Event::Step(step))]).as_bytes()).unwrap();
        let [(_, Event::Step(step))] = news.events.as_slice() else { panic!("{news:?}") };
        assert!(step.loss.is_nan() && step.top1 == 6.25);
    }

    #[test]
    fn lines_are_whole_known_or_named() {
        struct Case {
            name: &'static str,
            text: &'static str,
            want: Result<(usize, bool), &'static str>,
        }
        let case = |name, text, want| Case { name, text, want };
        for Case { name, text, want } in [
            case("empty", "", Ok((0, false))),
            case("half a line", "{\"seconds\":0.0,\"un", Ok((0, true))),
            case("of a later version", "{\"seconds\":0,\"unix\":0,\"event\":\"new\"}\n", Ok((0, false))),
            case(
                "another field",
                "{\"seconds\":0,\"unix\":0,\"event\":\"note\",\"text\":\"a\",\"b\":1}\n{",
                Ok((1, true)),
            ),
            case("no JSON", "{\"seconds\":0,\"unix\":0,\"event\":\"new\"}\nxx\n", Err("line 2")),
            case("no event", "{}\n", Err("no `event`")),
            case("no object", "3\n", Err("no `event`")),
            case("a field is missing", "{\"seconds\":0,\"unix\":0,\"event\":\"note\"}\n", Err("missing field `text`")),
            case("no UTF-8", "{\"event\":\"\u{0}\"}\n", Err("line 1")),
        ] {
            match (read(text.as_bytes()), want) {
                (Ok(news), Ok(want)) => assert_eq!((news.events.len(), news.truncated), want, "{name}"),
                (Err(error), Err(want)) => assert!(error.to_string().contains(want), "{name}: {error}"),
                (got, _) => panic!("{name}: {got:?}"),
            }
        }
    }

    #[test]
    fn follows_a_log_that_grows_and_is_cut_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let text = log(samples::run());
        let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        let mut follower = Follower::new(&path);
        assert!(matches!(follower.poll(), Err(ReadError::Open { .. })));
        let mut poll = |until: &str| {
            fs::write(&path, until).unwrap();
            let news = follower.poll().unwrap();
            (news.events.len(), news.restarted, news.truncated)
        };
        assert_eq!(poll(&text[..ends[2]]), (3, false, false));
        assert_eq!(poll(&text[..ends[3] + 9]), (1, false, true));
        assert_eq!(poll(&text[..ends[5]]), (2, false, false));
        assert_eq!(poll(&text[..ends[1]]), (2, true, false), "cut back");
        // Between two reads, the log is cut back and grows past its old length. Its latest line is
        // another one then.
        let other = text.replace("0.25,", "0.75,");
        assert_eq!(poll(&text[..ends[5]]), (4, false, false));
        assert!(poll(&(text[..ends[0]].to_owned() + &other[ends[2]..])).1);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..3000, at in 0usize..3000) {
            let mut text = log(samples::run()).into_bytes();
            text.truncate(text.len() - cut.min(text.len()));
            let at = at.min(text.len());
            text.splice(at..at, bytes);
            // Either result is right. The test is that it returns at all.
            let _ = read(&text);
        }
    }
}

//! TensorBoard's event files, with the original trainer's tags.

use crate::event_files::EventWriter;
use crate::progress::StepLines;
use crate::recorder::Sink;
use crate::{EpochRecord, Event, Marks, Opening, RecordError, Stamp, StepRecord};

use std::fs::{self, File};
use std::io::BufWriter;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Scalars against the number of training images seen: one point for every `print_freq`-th step,
/// and one for every epoch. The comments of [`Event`]'s fields name their tags.
///
/// A file's name has the time, the host and the file's number in the folder, so that the files sort
/// in the run's order. A continued run begins a new file. A TensorBoard that is watching has read
/// past the last file's mark; the new file tells it from which step on to forget.
pub struct TensorBoard {
    folder: PathBuf,
    host: String,
    due: StepLines,
    /// Earlier files of the run: names and lengths.
    earlier: Marks,
    /// The present file. It begins at the first event, whose time is in its name.
    current: Option<Current>,
    /// Training images so far.
    images_seen: u64,
}

/// The beginning of an event file's name. TensorBoard looks for its middle.
const PREFIX: &str = "events.out.tfevents.";

struct Current {
    name: String,
    events: EventWriter<BufWriter<File>>,
}

impl TensorBoard {
    /// Writes into a folder. `host` becomes part of the files' names. If a run is continued, its
    /// files are cut back to their marks, and files without a mark are removed, because they were
    /// written after the checkpoint. For a new run, all files are removed.
    ///
    /// # Errors
    /// [`RecordError::Create`].
    pub fn open(
        folder: &Path,
        opening: Opening<'_>,
        host: &str,
        print_freq: NonZeroUsize,
    ) -> Result<Self, RecordError> {
        let mut earlier = Marks::default();
        let failed = |path: &Path, cause| RecordError::Create { path: path.to_owned(), cause };
        let files = crate::event_files::list(folder).map_err(|cause| failed(folder, cause))?;
        let has_marks = |marks: &Marks| marks.iter().any(|(name, _)| name.starts_with(PREFIX));
        if matches!(opening, Opening::Continue(marks) if !has_marks(marks)) {
            // The log had failed before the checkpoint. Its files stay as they are, and are not
            // continued.
            files.iter().for_each(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                earlier.set(name, fs::metadata(path).map_or(0, |file| file.len()));
            });
            return Ok(Self::after(folder, host, print_freq, earlier));
        }
        for path in files {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let mark = match opening {
                Opening::New => None,
                Opening::Continue(marks) => marks.get(&name),
            };
            let cut = |bytes: u64| {
                let file = File::options().write(true).open(&path)?;
                // A file that is shorter than its mark has lost its end. The rest may still be
                // read.
                file.set_len(bytes.min(file.metadata()?.len()))
            };
            mark.map_or_else(|| fs::remove_file(&path), cut).map_err(|cause| failed(&path, cause))?;
            if let Some(bytes) = mark {
                earlier.set(name, bytes);
            }
        }
        Ok(Self::after(folder, host, print_freq, earlier))
    }

    fn after(folder: &Path, host: &str, print_freq: NonZeroUsize, earlier: Marks) -> Self {
        let (folder, host, due) = (folder.to_owned(), host.to_owned(), StepLines::new(print_freq));
        Self { folder, host, due, earlier, current: None, images_seen: 0 }
    }

    /// The present file, which is begun now if there is none.
    fn file(&mut self, stamp: Stamp) -> Result<&mut Current, RecordError> {
        if self.current.is_none() {
            let count = self.earlier.iter().count();
            let name = format!("{PREFIX}{:010.0}.{}.{count:04}", stamp.unix, self.host);
            let path = self.folder.join(&name);
            let failed = |cause| RecordError::Create { path: path.clone(), cause };
            let file = File::create(&path).map_err(failed)?;
            let mut events = EventWriter::new(BufWriter::new(file), stamp.unix).map_err(failed)?;
            if count > 0 {
                // The epoch that ended at this very step keeps its values.
                events.restart(stamp.unix, self.images_seen + 1).map_err(failed)?;
            }
            self.current = Some(Current { name, events });
        }
        // Just made.
        self.current.as_mut().ok_or_else(|| RecordError::Write {
            name: "TensorBoard's file".to_owned(),
            cause: std::io::Error::other("it was not begun"),
        })
    }

    fn scalars(&mut self, stamp: Stamp, step: u64, scalars: &[(&str, f64)]) -> Result<(), RecordError> {
        let Current { name, events } = self.file(stamp)?;
        events.scalars(stamp.unix, step, scalars).map_err(|cause| RecordError::Write { name: name.clone(), cause })
    }

    fn step(&mut self, stamp: Stamp, step: &StepRecord) -> Result<(), RecordError> {
        let images_per_s = step.images as f64 / step.step_seconds;
        let mut scalars = vec![
            ("sizes/lr", step.lr),
            ("sizes/momentum", step.momentum),
            ("sizes/batch_total", step.images_total as f64),
            ("losses/xent", step.loss),
            ("losses/train_1", step.top1),
            ("losses/train_5", step.top5),
            ("times/step", step.step_seconds * 1e3),
            ("times/data", step.data_seconds * 1e3),
            ("times/1gpu_images_per_sec", images_per_s),
            ("times/8gpu_images_per_sec", images_per_s * 8.0),
        ];
        if step.images_total != step.images {
            // The images of all devices. The original takes eight times those of one.
            scalars.push(("times/total_images_per_sec", step.images_total as f64 / step.step_seconds));
        }
        if let Some(network) = step.network {
            scalars.extend([("net/recv_gbit", network.received_gbit), ("net/transmit_gbit", network.sent_gbit)]);
        }
        if let Some(memory) = step.memory {
            let gb = |bytes: u64| bytes as f64 / 1e9;
            scalars.extend([
                ("memory/allocated_gb", gb(memory.allocated)),
                ("memory/max_allocated_gb", gb(memory.max_allocated)),
                ("memory/cached_gb", gb(memory.cached)),
                ("memory/max_cached_gb", gb(memory.max_cached)),
            ]);
        }
        self.scalars(stamp, step.images_before, &scalars)
    }

    fn epoch(&mut self, stamp: Stamp, epoch: &EpochRecord) -> Result<(), RecordError> {
        let scalars = [
            ("losses/test_1", epoch.top1),
            ("losses/test_5", epoch.top5),
            ("times/eval_sec", epoch.eval_seconds),
            ("epoch", epoch.epoch as f64),
        ];
        self.scalars(stamp, epoch.images_seen, &scalars)?;
        self.flush()
    }

    fn flush(&mut self) -> Result<(), RecordError> {
        let Some(Current { name, events }) = &mut self.current else { return Ok(()) };
        events.flush().map_err(|cause| RecordError::Write { name: name.clone(), cause })
    }
}

impl Sink for TensorBoard {
    fn record(&mut self, stamp: Stamp, event: &Event) -> Result<(), RecordError> {
        let seen = self.images_seen;
        match event {
            Event::RunStart(run) => {
                self.scalars(stamp, seen, &[("first", stamp.unix), ("sizes/world", run.world as f64)])
            }
            Event::Resumed { images_seen, world, .. } => {
                self.images_seen = *images_seen;
                let Some(world) = world else { return Ok(()) };
                self.scalars(stamp, *images_seen, &[("sizes/world", *world as f64)])
            }
            Event::DataChange(data) => {
                self.scalars(stamp, seen, &[("sizes/batch", data.batch as f64), ("sizes/image", data.size as f64)])
            }
            Event::BatchChange { batch, .. } => self.scalars(stamp, seen, &[("sizes/batch", *batch as f64)]),
            Event::Step(step) => {
                self.images_seen = step.images_before + step.images_total;
                if self.due.is_due(event) { self.step(stamp, step) } else { Ok(()) }
            }
            Event::EpochEnd(epoch) => self.epoch(stamp, epoch),
            Event::RunEnd(_) | Event::Warning { .. } | Event::Stopped { .. } => self.flush(),
            _ => Ok(()),
        }
    }

    fn mark(&mut self, marks: &mut Marks) -> Result<(), RecordError> {
        self.flush()?;
        for (name, bytes) in self.earlier.iter() {
            marks.set(name, bytes);
        }
        if let Some(Current { name, events }) = &self.current {
            marks.set(name, events.length());
        }
        Ok(())
    }

    fn close(mut self: Box<Self>) -> Result<(), RecordError> {
        self.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn every() -> NonZeroUsize {
        NonZeroUsize::new(2).unwrap()
    }

    fn lines(folder: &Path) -> Vec<String> {
        let scalars = crate::event_files::read_scalars(folder).unwrap().all;
        scalars.iter().map(|s| format!("{} {} {} {:?}", s.wall_time, s.step, s.tag, s.value as f32)).collect()
    }

    #[test]
    fn every_tag_stands_at_its_image() {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = TensorBoard::open(folder.path(), Opening::New, "host", every()).unwrap();
        for (stamp, event) in samples::run() {
            sink.record(stamp, &event).unwrap();
        }
        Box::new(sink).close().unwrap();
        let name = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().file_name();
        assert_eq!(name, "events.out.tfevents.1770091506.host.0000");
        insta::assert_snapshot!(lines(folder.path()).join("\n"), @r"
        1770091506 0 first 1770091500.0
        1770091506 0 sizes/world 1.0
        1770091506 0 sizes/batch 32.0
        1770091506 0 sizes/image 48.0
        1770091506.5 32 sizes/lr 0.1
        1770091506.5 32 sizes/momentum 0.9
        1770091506.5 32 sizes/batch_total 32.0
        1770091506.5 32 losses/xent 2.15
        1770091506.5 32 losses/train_1 12.5
        1770091506.5 32 losses/train_5 25.0
        1770091506.5 32 times/step 250.0
        1770091506.5 32 times/data 2.0
        1770091506.5 32 times/1gpu_images_per_sec 128.0
        1770091506.5 32 times/8gpu_images_per_sec 1024.0
        1770091509 64 sizes/lr 0.15
        1770091509 64 sizes/momentum 0.9
        1770091509 64 sizes/batch_total 32.0
        1770091509 64 losses/xent 2.025
        1770091509 64 losses/train_1 18.75
        1770091509 64 losses/train_5 37.5
        1770091509 64 times/step 250.0
        1770091509 64 times/data 2.0
        1770091509 64 times/1gpu_images_per_sec 128.0
        1770091509 64 times/8gpu_images_per_sec 1024.0
        1770091510.5 96 losses/test_1 17.5
        1770091510.5 96 losses/test_5 62.5
        1770091510.5 96 times/eval_sec 1.5
        1770091510.5 96 epoch 0.0
        1770091510.5 96 sizes/batch 32.0
        1770091510.5 96 sizes/image 64.0
        1770091510.5 96 sizes/batch 16.0
        1770091513.5 160 sizes/lr 0.3
        1770091513.5 160 sizes/momentum 0.9
        1770091513.5 160 sizes/batch_total 32.0
        1770091513.5 160 losses/xent 1.65
        1770091513.5 160 losses/train_1 37.5
        1770091513.5 160 losses/train_5 75.0
        1770091513.5 160 times/step 250.0
        1770091513.5 160 times/data 2.0
        1770091513.5 160 times/1gpu_images_per_sec 128.0
        1770091513.5 160 times/8gpu_images_per_sec 1024.0
        1770091513.5 160 net/recv_gbit 1.5
        1770091513.5 160 net/transmit_gbit 2.25
        1770091513.5 160 memory/allocated_gb 1e-9
        1770091513.5 160 memory/max_allocated_gb 2e-9
        1770091513.5 160 memory/cached_gb 3e-9
        1770091513.5 160 memory/max_cached_gb 4e-9
        1770091515 192 losses/test_1 77.5
        1770091515 192 losses/test_5 97.5
        1770091515 192 times/eval_sec 1.5
        1770091515 192 epoch 1.0
        ");
    }

    #[test]
    fn a_continued_run_reads_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let events = samples::run();
        // Up to the first epoch's end, where a checkpoint is taken. The run then goes on, dies, and
        // is continued twice.
        let (before, after) = events.split_at(8);
        let mut marks = Marks::default();
        let mut sink = TensorBoard::open(folder.path(), Opening::New, "host", every()).unwrap();
        before.iter().for_each(|(stamp, event)| sink.record(*stamp, event).unwrap());
        sink.mark(&mut marks).unwrap();
        after.iter().for_each(|(stamp, event)| sink.record(*stamp, event).unwrap());
        Box::new(sink).close().unwrap();
        let uninterrupted = lines(folder.path());
        for _ in 0..2 {
            let mut sink = TensorBoard::open(folder.path(), Opening::Continue(&marks), "host", every()).unwrap();
            let resumed = Event::Resumed { epoch: 1, step: 0, images_seen: 96, from: "x".into(), world: None };
            sink.record(samples::stamp(4.6), &resumed).unwrap();
            after.iter().for_each(|(stamp, event)| sink.record(*stamp, event).unwrap());
            Box::new(sink).close().unwrap();
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
            assert_eq!(lines(folder.path()), uninterrupted);
        }
    }
}

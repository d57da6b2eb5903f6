//! A run, gathered from its log.

use in18_record::{DataChange, EpochRecord, Event, RunEnd, RunStart, Stamp};

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It ended as planned.
    Done,
    /// Its loss is not finite any more.
    Diverged,
    /// It ended before the end of its plan, and said why.
    Stopped,
    /// It has not ended, and wrote something recently.
    Running,
    /// It has not ended, and has been silent for a long time.
    Interrupted,
}

impl State {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Done => "finished",
            Self::Diverged => "diverged",
            Self::Stopped => "stopped early",
            Self::Running => "still running",
            Self::Interrupted => "not finished",
        }
    }
}

/// The figures of a training step that the page shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The number of epochs done after this step, with a fraction.
    pub epochs: f64,
    /// Seconds since the run's start.
    pub seconds: f64,
    /// Learning rate.
    pub lr: f64,
    /// Mean cross entropy of the batch, nats.
    pub loss: f64,
    /// Images a second, of all devices.
    pub images_per_s: f64,
    /// Share of the step's time spent waiting for data, percent.
    pub wait: f64,
}

/// Epochs that read the same images in the same way.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// What the epochs read. The epoch and the batch in it are those of the phase.
    pub data: DataChange,
    /// One past the phase's last epoch.
    pub until: usize,
    /// First, highest and latest learning rate so far; `None` before the first step.
    pub rates: Option<[f64; 3]>,
}

/// A run's log, gathered.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Its name, such as its folder.
    pub name: String,
    /// What is trained. If the run was continued, its latest start.
    pub start: Option<RunStart>,
    /// Changes of data and batch, in order.
    pub data: Vec<DataChange>,
    /// Epochs that are done.
    pub epochs: Vec<EpochRecord>,
    /// Every training step.
    pub steps: Vec<Sample>,
    /// Where the run was continued: epoch and step.
    pub resumed: Vec<(usize, usize)>,
    /// All warnings, and advice about slow loading.
    pub warnings: Vec<String>,
    /// Why the run ended before the end of its plan.
    pub stopped: Option<String>,
    /// The run's totals, once it has ended as planned.
    pub end: Option<RunEnd>,
    /// The times of the first and of the latest event.
    pub span: Option<(Stamp, Stamp)>,
}

impl Run {
    /// Gathers a log.
    #[must_use]
    pub fn new(name: String, events: &[(Stamp, Event)]) -> Self {
        let mut run = Self { name, ..Self::default() };
        for (stamp, event) in events {
            run.add(*stamp, event);
        }
        run
    }

    /// Takes in the next event.
    pub fn add(&mut self, stamp: Stamp, event: &Event) {
        self.span = Some((self.span.map_or(stamp, |(first, _)| first), stamp));
        if matches!(event, Event::RunStart(_) | Event::Resumed { .. } | Event::Step(_)) {
            self.stopped = None;
        }
        match event {
            Event::RunStart(start) => self.start = Some(start.clone()),
            Event::DataChange(data) => self.change(data.clone()),
            Event::BatchChange { epoch, batch } => {
                if let Some(last) = self.data.last().cloned() {
                    self.change(DataChange { epoch: *epoch, batch: *batch, ..last });
                }
            }
            Event::Step(step) => self.steps.push(Sample {
                epochs: step.epoch as f64 + step.step as f64 / step.steps.max(1) as f64,
                seconds: stamp.seconds,
                lr: step.lr,
                loss: step.loss,
                images_per_s: step.images_total as f64 / step.step_seconds,
                wait: crate::text::percent(step.data_seconds, step.step_seconds),
            }),
            Event::EpochEnd(epoch) => self.epochs.push(epoch.clone()),
            Event::Resumed { epoch, step, world, .. } => {
                self.resumed.push((*epoch, *step));
                if let (Some(start), Some(world)) = (&mut self.start, world) {
                    start.world = *world;
                }
            }
            Event::Warning { text } => self.warnings.push(text.clone()),
            Event::Loader(loader) => self.warnings.extend(loader.advice.clone()),
            Event::Stopped { reason } => self.stopped = Some(reason.clone()),
            Event::RunEnd(end) => self.end = Some(end.clone()),
            _ => {}
        }
    }

    /// How the run stands at the time `now`, in seconds since 1970. After `silence` seconds without
    /// an event it counts as interrupted.
    #[must_use]
    pub fn state(&self, now: f64, silence: f64) -> State {
        if self.diverged() {
            State::Diverged
        } else if self.end.is_some() {
            State::Done
        } else if self.stopped.is_some() {
            State::Stopped
        } else if self.span.is_some_and(|(_, last)| now - last.unix <= silence) {
            State::Running
        } else {
            State::Interrupted
        }
    }

    /// Whether its latest loss is not finite.
    #[must_use]
    pub fn diverged(&self) -> bool {
        let trained = self.steps.last().is_some_and(|step| !step.loss.is_finite());
        trained || self.epochs.last().is_some_and(|epoch| !(epoch.train_loss + epoch.val_loss).is_finite())
    }

    /// Seconds from the run's start to its latest event.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.span.map_or(0.0, |(_, last)| last.seconds)
    }

    /// The epoch of the best top-1.
    #[must_use]
    pub fn best(&self) -> Option<&EpochRecord> {
        self.epochs.iter().filter(|epoch| epoch.top1.is_finite()).max_by(|a, b| a.top1.total_cmp(&b.top1))
    }

    /// The highest top-5, percent.
    #[must_use]
    pub fn best_top5(&self) -> Option<f64> {
        self.epochs.iter().map(|epoch| epoch.top5).filter(|top5| top5.is_finite()).max_by(f64::total_cmp)
    }

    /// Training images of all devices over the time of the epochs' training steps.
    #[must_use]
    pub fn images_per_s(&self) -> f64 {
        let images: f64 = self.epochs.iter().map(|epoch| epoch.images_per_s * epoch.train_seconds).sum();
        images / self.train_seconds()
    }

    /// Share of training time spent waiting for data, percent.
    #[must_use]
    pub fn wait(&self) -> f64 {
        let waited: f64 = self.epochs.iter().map(|epoch| epoch.data_seconds).sum();
        crate::text::percent(waited, self.train_seconds())
    }

    /// The number of all epochs: as planned, or as far as is known.
    #[must_use]
    pub fn planned_epochs(&self) -> usize {
        let seen = self.steps.last().map_or(0, |step| step.epochs.ceil() as usize);
        self.start.as_ref().map_or(seen, |start| start.epochs.max(seen))
    }

    /// The phases: those that have begun, then those that are planned. The last one lasts until the
    /// end.
    #[must_use]
    pub fn phases(&self) -> Vec<Phase> {
        let begun = self.data.last().map_or(0, |data| data.epoch + 1);
        let planned = self.start.iter().flat_map(|start| &start.plan).filter(|data| data.epoch >= begun);
        let data: Vec<&DataChange> = self.data.iter().chain(planned).collect();
        let ends = data.iter().skip(1).map(|data| data.epoch).chain([self.planned_epochs()]);
        let phase = |(data, until): (&&DataChange, usize)| Phase {
            data: (*data).clone(),
            until: until.max(data.epoch),
            rates: self.rates(data.epoch, until),
        };
        data.iter().zip(ends).map(phase).collect()
    }

    fn rates(&self, from: usize, until: usize) -> Option<[f64; 3]> {
        // A step's `epochs` is above the number of its epoch's beginning, and at most that of its
        // end.
        let within = self.steps.iter().filter(|step| step.epochs > from as f64 && step.epochs <= until as f64);
        within.fold(None, |rates, step| {
            let [first, high, _] = rates.unwrap_or([step.lr; 3]);
            Some([first, high.max(step.lr), step.lr])
        })
    }

    fn train_seconds(&self) -> f64 {
        self.epochs.iter().map(|epoch| epoch.train_seconds).sum()
    }

    /// Takes in a change. A batch change at the epoch of an earlier change replaces it.
    fn change(&mut self, data: DataChange) {
        self.data.retain(|earlier| earlier.epoch < data.epoch);
        self.data.push(data);
    }
}

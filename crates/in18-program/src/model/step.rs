//! A step of a model. Its batch goes in, its operations run, and its metrics come out. If gradients
//! are exchanged, the operations run in parts. The update is a list of its own, because ranks sum
//! gradients before it.

use std::ops::Range;

use in18_kernels::op::METRICS;
use in18_kernels::{KernelError, Kernels, Op, PendingRead, ProgramId};
use in18_tensor::{DType, MemoryRange, Region};

use super::{Average, Input, Metrics, Mode, Model, Program, UpdateScalars, narrowed};
use crate::error::ProgramError;

/// The metrics of a step that may still be running.
#[derive(Debug)]
pub struct PendingMetrics {
    images: usize,
    values: PendingRead,
}

/// A function that is called before each operation of a step, with the operation's number, the
/// number of all operations, and the operation.
pub(super) type Watcher = Box<dyn FnMut(usize, usize, &Op)>;

/// Operations of one program, and their place among all operations of a step.
struct Running<'a> {
    id: ProgramId,
    ops: &'a [Op],
    /// The number of the first operation.
    first: usize,
    /// The number of all operations of a step.
    total: usize,
}

/// Where a step stops to call back.
enum Stops<'a> {
    /// Nowhere.
    None,
    /// After each operation.
    EachOperation(&'a mut dyn FnMut(usize)),
    /// Whenever the gradients up to the next of these cuts are final.
    Cuts(&'a [usize], &'a mut dyn FnMut(MemoryRange, DType)),
}

impl Model {
    /// Starts forward and backward over a batch, without waiting for their end. They leave the
    /// gradients of the mean loss. The batch's memory may change as soon as this returns.
    pub fn start_training(&mut self, input: Input<'_>) -> Result<PendingMetrics, ProgramError> {
        self.step(Mode::Training, input, Stops::None)
    }

    /// Like [`start_training`](Self::start_training), but hands gradients out while the step runs.
    /// Whenever all gradients of a part are final, `ready` gets the part's place. Parts lie between
    /// one of `cuts` and the next (see [`gradient_cuts`](Self::gradient_cuts)) and come in that
    /// order.
    pub fn start_training_in_parts(
        &mut self,
        input: Input<'_>,
        cuts: &[usize],
        ready: &mut dyn FnMut(MemoryRange, DType),
    ) -> Result<PendingMetrics, ProgramError> {
        self.step(Mode::Training, input, Stops::Cuts(cuts, ready))
    }

    /// Starts forward over a batch with the running statistics, without waiting for its end. The
    /// batch's memory may change as soon as this returns.
    pub fn start_evaluation(&mut self, input: Input<'_>) -> Result<PendingMetrics, ProgramError> {
        self.step(Mode::Evaluation, input, Stops::None)
    }

    /// Updates the state from the gradients that the last training step left, by the update of
    /// [`set_update`](Self::set_update). Without an update, the state stays as it is.
    pub fn update(&mut self, scalars: UpdateScalars) -> Result<(), ProgramError> {
        self.scalars.write(&mut *self.kernels, scalars)?;
        let Some(update) = &self.update else { return Ok(()) };
        let count = update.ops.len();
        let running =
            Running { id: update.id, ops: &update.ops, first: self.before_update, total: self.before_update + count };
        Ok(run(&mut *self.kernels, &mut self.watcher, &running, 0..count)?)
    }

    /// Moves an average of [`add_average`](Self::add_average), which keeps this share of itself.
    ///
    /// # Errors
    /// [`ProgramError::NoSuchAverage`].
    pub fn move_average(&mut self, average: Average, kept: f32) -> Result<(), ProgramError> {
        let placed = self.averages.iter().find(|(own, _)| *own == average);
        let (_, placed) = placed.ok_or(ProgramError::NoSuchAverage(average))?;
        self.kept.write(&mut *self.kernels, kept)?;
        Ok(self.kernels.run(placed.id, 0..placed.ops.len())?)
    }

    /// Whether the metrics of a started step have arrived.
    pub fn is_done(&self, pending: &PendingMetrics) -> Result<bool, ProgramError> {
        Ok(self.kernels.is_read(&pending.values)?)
    }

    /// Waits for a started step and returns its metrics. They must be taken for every step.
    pub fn metrics(&mut self, pending: PendingMetrics) -> Result<Metrics, ProgramError> {
        let PendingMetrics { images, values } = pending;
        let bytes = self.kernels.finish_read(values)?;
        let metric = |index: usize| f32::from_ne_bytes(std::array::from_fn(|byte| bytes[4 * index + byte]));
        let (loss_sum, top1, top5) = (f64::from(metric(0)), metric(1) as usize, metric(2) as usize);
        Ok(Metrics { images, loss_sum, top1, top5 })
    }

    /// Runs all [`operations`](Self::operations) of a training or evaluation step, including the
    /// update. Calls `after` with each operation's number once it has ended.
    pub fn observed_step(
        &mut self,
        mode: Mode,
        input: Input<'_>,
        scalars: UpdateScalars,
        after: &mut dyn FnMut(usize),
    ) -> Result<Metrics, ProgramError> {
        let pending = self.step(mode, input, Stops::EachOperation(after))?;
        self.scalars.write(&mut *self.kernels, scalars)?;
        if let (Mode::Training, Some(update)) = (mode, &self.update) {
            for op in 0..update.ops.len() {
                self.kernels.run(update.id, op..op + 1)?;
                self.kernels.synchronize()?;
                after(self.before_update + op);
            }
        }
        self.metrics(pending)
    }

    /// From now on, `watcher` is called before each operation of a step runs, with the operation's
    /// number, the number of all operations, and the operation. Where [steps go on](Self::is_apart)
    /// after their functions have returned, it is called before the operation is started. Results
    /// stay the same, bit for bit.
    pub fn watch(&mut self, watcher: impl FnMut(usize, usize, &Op) + 'static) {
        self.watcher = Some(Box::new(watcher));
    }

    /// Ends what [`watch`](Self::watch) began.
    pub fn forget_watcher(&mut self) {
        self.watcher = None;
    }

    fn step(&mut self, mode: Mode, input: Input<'_>, stops: Stops<'_>) -> Result<PendingMetrics, ProgramError> {
        let Input { size, pixels, targets } = input;
        self.prepare(mode, size)?;
        let update_ops = self.update_of(mode).map_or(0, |update| update.ops.len());
        let Program { id, lowered } = &self.programs[&(mode, size)];
        let mixed_in = targets.mixed_in.map_or(size.batch, |mixed_in| mixed_in.labels.len());
        for (name, expected, got) in [
            ("pixels", lowered.pixels.region.bytes, pixels.len()),
            ("labels", size.batch, targets.labels.len()),
            ("labels mixed in", size.batch, mixed_in),
        ] {
            if expected != got {
                return Err(ProgramError::Length { name: name.to_owned(), expected, got });
            }
        }
        self.kernels.write(lowered.pixels.region, pixels)?;
        self.loss.write(&mut *self.kernels, &lowered.loss, &targets, self.loss_scale, &mut self.written)?;
        self.taken = self.taken.max(lowered.work_bytes);
        let all = lowered.forward.start..lowered.backward.end;
        self.before_update = lowered.ops.len();
        let program = Running { id: *id, ops: &lowered.ops, first: 0, total: self.before_update + update_ops };
        let (kernels, watcher) = (&mut *self.kernels, &mut self.watcher);
        match stops {
            Stops::None => run(kernels, watcher, &program, all)?,
            Stops::EachOperation(after) => {
                for op in all {
                    run(kernels, watcher, &program, op..op + 1)?;
                    kernels.synchronize()?;
                    after(op);
                }
            }
            Stops::Cuts(cuts, ready) => {
                let arena = self.arenas.gradients;
                let (mut next, mut from) = (all.start, 0);
                for &cut in cuts {
                    let op = lowered
                        .finished_gradients
                        .iter()
                        .find(|(_, end)| *end >= cut)
                        .map_or(all.end, |(op, _)| op + 1);
                    if op > next {
                        run(kernels, watcher, &program, next..op)?;
                        next = op;
                    }
                    let part = Region { arena, offset: from, bytes: cut - from };
                    match self.exchanged {
                        None => ready(kernels.memory_range(part)?, DType::F32),
                        Some((arena, dtype)) => {
                            let narrow = narrowed(part, arena, dtype);
                            kernels.convert((part, DType::F32), (narrow, dtype))?;
                            ready(kernels.memory_range(narrow)?, dtype);
                        }
                    }
                    from = cut;
                }
                run(kernels, watcher, &program, next..all.end)?;
            }
        }
        let values = Region { bytes: METRICS * size_of::<f32>(), ..lowered.loss.metrics.region };
        Ok(PendingMetrics { images: size.batch, values: self.kernels.start_read(values)? })
    }
}

/// Runs a range of a program's operations: at once, or one by one if there is a watcher.
fn run(
    kernels: &mut dyn Kernels,
    watcher: &mut Option<Watcher>,
    running: &Running<'_>,
    range: Range<usize>,
) -> Result<(), KernelError> {
    let Some(watcher) = watcher else { return kernels.run(running.id, range) };
    range.into_iter().try_for_each(|op| {
        watcher(running.first + op, running.total, &running.ops[op]);
        kernels.run(running.id, op..op + 1)
    })
}

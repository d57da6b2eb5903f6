//! A step: its batch goes in, its operations run, in parts where somebody waits for gradients, and its metrics come out.

use std::ops::Range;

use in18_kernels::op::METRICS;
use in18_kernels::{KernelError, Kernels, Op, PendingRead, ProgramId};
use in18_tensor::{DType, MemoryRange, Region};

use super::{Metrics, Mode, Model, Program, Size, narrowed};
use crate::error::ProgramError;

/// Metrics of a step that may still go on.
#[derive(Debug)]
pub struct PendingMetrics {
    images: usize,
    values: PendingRead,
}

/// Is told the number of an operation that is about to run, and all operations of its program.
pub(super) type Watcher = Box<dyn FnMut(usize, &[Op])>;

/// Where a step looks up.
enum Stops<'a> {
    /// Nowhere.
    None,
    /// After each operation.
    EachOperation(&'a mut dyn FnMut(usize)),
    /// Whenever the gradients up to one of these cuts are final.
    Cuts(&'a [usize], &'a mut dyn FnMut(MemoryRange, DType)),
}

impl Model {
    /// Forward and backward over a batch: (N, H, W, 3) pixels and N labels. Leaves gradients of the mean loss.
    pub fn train_step(&mut self, size: Size, pixels: &[u8], labels: &[i32]) -> Result<Metrics, ProgramError> {
        let pending = self.start_train_step(size, pixels, labels)?;
        self.metrics(pending)
    }

    /// The same without waiting for its end. Pixels and labels may change as soon as it returns.
    pub fn start_train_step(
        &mut self,
        size: Size,
        pixels: &[u8],
        labels: &[i32],
    ) -> Result<PendingMetrics, ProgramError> {
        self.step((Mode::Training, size), pixels, labels, Stops::None)
    }

    /// A training step, as [`start_train_step`](Self::start_train_step), that hands gradients out while it goes on: whenever all
    /// of a part are final, `ready` gets its place. The parts lie between one of `cuts` and the next (see
    /// [`gradient_cuts`](Self::gradient_cuts)) and come in that order.
    pub fn start_train_step_in_parts(
        &mut self,
        size: Size,
        pixels: &[u8],
        labels: &[i32],
        cuts: &[usize],
        ready: &mut dyn FnMut(MemoryRange, DType),
    ) -> Result<PendingMetrics, ProgramError> {
        self.step((Mode::Training, size), pixels, labels, Stops::Cuts(cuts, ready))
    }

    /// Forward over a batch with the running statistics: (N, H, W, 3) pixels and N labels.
    pub fn evaluate(&mut self, size: Size, pixels: &[u8], labels: &[i32]) -> Result<Metrics, ProgramError> {
        let pending = self.start_evaluation(size, pixels, labels)?;
        self.metrics(pending)
    }

    /// The same without waiting for its end. Pixels and labels may change as soon as it returns.
    pub fn start_evaluation(
        &mut self,
        size: Size,
        pixels: &[u8],
        labels: &[i32],
    ) -> Result<PendingMetrics, ProgramError> {
        self.step((Mode::Evaluation, size), pixels, labels, Stops::None)
    }

    /// Whether the metrics of a step that was started are here.
    pub fn is_done(&self, pending: &PendingMetrics) -> Result<bool, ProgramError> {
        Ok(self.kernels.is_read(&pending.values)?)
    }

    /// The metrics of a step that was started; waits for it. Every step's must be taken.
    pub fn metrics(&mut self, pending: PendingMetrics) -> Result<Metrics, ProgramError> {
        let PendingMetrics { images, values } = pending;
        let bytes = self.kernels.finish_read(values)?;
        let metric = |index: usize| f32::from_ne_bytes(std::array::from_fn(|byte| bytes[4 * index + byte]));
        let (loss_sum, top1, top5) = (f64::from(metric(0)), metric(1) as usize, metric(2) as usize);
        Ok(Metrics { images, loss_sum, top1, top5 })
    }

    /// A training or evaluation step that calls `after` with the number of each of its
    /// [`operations`](Self::operations) once that is done.
    pub fn observed_step(
        &mut self,
        at: (Mode, Size),
        pixels: &[u8],
        labels: &[i32],
        after: &mut dyn FnMut(usize),
    ) -> Result<Metrics, ProgramError> {
        let pending = self.step(at, pixels, labels, Stops::EachOperation(after))?;
        self.metrics(pending)
    }

    /// From now on `watcher` is told the number of each operation before it runs (where [steps go on](Self::is_apart) after
    /// their functions have returned: before it is started), and all operations of its program. Results stay the same, bit for
    /// bit.
    pub fn watch(&mut self, watcher: impl FnMut(usize, &[Op]) + 'static) {
        self.watcher = Some(Box::new(watcher));
    }

    /// Ends what [`watch`](Self::watch) began.
    pub fn forget_watcher(&mut self) {
        self.watcher = None;
    }

    fn step(
        &mut self,
        (mode, size): (Mode, Size),
        pixels: &[u8],
        labels: &[i32],
        stops: Stops<'_>,
    ) -> Result<PendingMetrics, ProgramError> {
        self.prepare(mode, size)?;
        let Program { id, lowered } = &self.programs[&(mode, size)];
        for (name, expected, got) in
            [("pixels", lowered.pixels.region.bytes, pixels.len()), ("labels", size.batch, labels.len())]
        {
            if expected != got {
                return Err(ProgramError::Length { name: name.to_owned(), expected, got });
            }
        }
        self.kernels.write(lowered.pixels.region, pixels)?;
        let labels: Vec<u8> = labels.iter().flat_map(|label| label.to_ne_bytes()).collect();
        self.kernels.write(lowered.labels.region, &labels)?;
        self.kernels.write(lowered.scale.region, &self.loss_scale.to_ne_bytes())?;
        self.taken = self.taken.max(lowered.work_bytes);
        let all = lowered.forward.start..lowered.backward.end;
        let program = (*id, &lowered.ops[..]);
        let (kernels, watcher) = (&mut *self.kernels, &mut self.watcher);
        match stops {
            Stops::None => run(kernels, watcher, program, all)?,
            Stops::EachOperation(after) => {
                for op in all {
                    run(kernels, watcher, program, op..op + 1)?;
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
                        run(kernels, watcher, program, next..op)?;
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
                run(kernels, watcher, program, next..all.end)?;
            }
        }
        let values = Region { bytes: METRICS * size_of::<f32>(), ..lowered.metrics.region };
        Ok(PendingMetrics { images: size.batch, values: self.kernels.start_read(values)? })
    }
}

/// Runs a range of a program's operations: at once, or one by one if somebody watches.
fn run(
    kernels: &mut dyn Kernels,
    watcher: &mut Option<Watcher>,
    (id, operations): (ProgramId, &[Op]),
    range: Range<usize>,
) -> Result<(), KernelError> {
    let Some(watcher) = watcher else { return kernels.run(id, range) };
    range.into_iter().try_for_each(|op| {
        watcher(op, operations);
        kernels.run(id, op..op + 1)
    })
}

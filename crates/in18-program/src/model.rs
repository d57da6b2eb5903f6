//! A network's state on a kernel provider, and its programs by size.

mod memory;
mod step;

use std::collections::HashMap;

use in18_kernels::{DeviceMemory, Kernels, Op, ProgramId};
use in18_tensor::{ArenaId, DType, Format, MemoryRange, Region, Tensor};

use crate::average::{Average, Kept};
use crate::error::ProgramError;
use crate::loss::Loss;
use crate::lower::{Arenas, Lowered, lower};
use crate::network::Network;
use crate::state::{ModelState, PARAMETERS, STATISTICS, Slot, Slots, StateTables};
use crate::table::{Entry, ParameterTable};
use crate::update::{PlacedUpdate, Places, Scalars, Update, UpdateScalars};

pub use step::PendingMetrics;
use step::Watcher;

/// What a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Forward and backward, with the batch's own statistics.
    Training,
    /// Forward only, with the running statistics.
    Evaluation,
}

/// A batch's extents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// Images.
    pub batch: usize,
    /// Pixels.
    pub height: usize,
    /// Pixels.
    pub width: usize,
}

/// A batch, from the loader to the provider.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Its extents.
    pub size: Size,
    /// (N, H, W, 3) u8.
    pub pixels: &'a [u8],
    /// What the network should say of them.
    pub targets: Targets<'a>,
}

/// What a network should say of a batch's images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Targets<'a> {
    /// (N): each image's class.
    pub labels: &'a [i32],
    /// What is mixed into the images, in a training step of a loss that [is told
    /// so](crate::Loss::mixed). An evaluation has none.
    pub mixed_in: Option<MixedIn<'a>>,
}

/// What is mixed into the images of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MixedIn<'a> {
    /// (N): the class of the image that is mixed into each image.
    pub labels: &'a [i32],
    /// How much each image's own class counts, from 0 to 1. The other class counts the rest.
    pub share: f32,
}

impl<'a> Targets<'a> {
    /// One class for each image, (N).
    pub fn of(labels: &'a [i32]) -> Self {
        Targets { labels, mixed_in: None }
    }
}

/// What a program reports of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metrics {
    /// Images of the batch.
    pub images: usize,
    /// Cross entropy summed over them, in nats.
    pub loss_sum: f64,
    /// Images whose best guess is right.
    pub top1: usize,
    /// Images with the right class among the best five.
    pub top5: usize,
}

struct Program {
    id: ProgramId,
    lowered: Lowered,
}

/// A network with its state and its gradients in a provider's memory.
pub struct Model {
    kernels: Box<dyn Kernels>,
    network: Network,
    dtype: DType,
    tables: StateTables,
    slots: Slots,
    arenas: Arenas,
    scalars: Scalars,
    loss: Loss,
    /// Memory for what a step writes beside the pixels, used again for each step.
    written: Vec<u8>,
    /// What a step does to the state; `None` until an optimizer has said so.
    update: Option<PlacedUpdate>,
    averages: Vec<(Average, PlacedUpdate)>,
    kept: Kept,
    programs: HashMap<(Mode, Size), Program>,
    loss_scale: f32,
    /// The number of operations that the last step had before its update.
    before_update: usize,
    /// Where gradients lie in the type in which ranks exchange them, if that is not fp32.
    exchanged: Option<(ArenaId, DType)>,
    /// Bytes of the work arena that have been taken from the system.
    taken: usize,
    /// Processes that share this machine's memory, this one among them.
    sharers: usize,
    /// A function that is told which operation runs.
    watcher: Option<Watcher>,
}

impl Model {
    /// A network whose activations are of type `dtype`. All of its state is zero.
    pub fn new(mut kernels: Box<dyn Kernels>, network: Network, dtype: DType) -> Result<Self, ProgramError> {
        let tables = StateTables::of(&network);
        let slots = Slots::new(&mut *kernels, &tables)?;
        let arenas = Arenas {
            parameters: slots.arena(PARAMETERS),
            gradients: kernels.allocate(tables.parameters.bytes())?,
            statistics: slots.arena(STATISTICS),
            work: kernels.allocate(0)?,
        };
        let (scalars, kept) = (Scalars::new(&mut *kernels)?, Kept::new(&mut *kernels)?);
        let (programs, loss_scale, exchanged, taken) = (HashMap::new(), 1.0, None, 0);
        Ok(Model {
            kernels,
            network,
            dtype,
            tables,
            slots,
            arenas,
            scalars,
            loss: Loss::default(),
            written: Vec::new(),
            update: None,
            averages: Vec::new(),
            kept,
            programs,
            loss_scale,
            before_update: 0,
            exchanged,
            taken,
            sharers: 1,
            watcher: None,
        })
    }

    /// What computes, in a few words.
    pub fn describe(&self) -> String {
        self.kernels.describe()
    }

    /// Whether steps may still run after their functions have returned.
    pub fn is_apart(&self) -> bool {
        self.kernels.is_apart()
    }

    /// Waits until everything that was started has ended.
    pub fn synchronize(&self) -> Result<(), ProgramError> {
        Ok(self.kernels.synchronize()?)
    }

    /// Use of the device's own memory; `None` if the provider has no device of its own.
    pub fn device_memory(&self) -> Option<DeviceMemory> {
        self.kernels.device_memory()
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The trainable parameters.
    pub fn parameters(&self) -> &ParameterTable {
        &self.tables.parameters
    }

    /// The running statistics.
    pub fn statistics(&self) -> &ParameterTable {
        &self.tables.statistics
    }

    /// The slots of its state.
    pub fn slots(&self) -> Vec<Slot> {
        self.slots.names()
    }

    /// From now on, training makes this loss small. At first it is the cross entropy.
    pub fn set_loss(&mut self, loss: Loss) {
        self.forget_programs();
        self.loss = loss;
    }

    /// What training makes small.
    pub fn loss(&self) -> &Loss {
        &self.loss
    }

    /// From now on, each step updates the state by this update. Slots that the update names and
    /// that do not exist begin as zeros.
    pub fn set_update(&mut self, update: &Update) -> Result<(), ProgramError> {
        for slot in update.slots() {
            self.slots.add(&mut *self.kernels, &self.tables, slot)?;
        }
        let placed = self.place(update)?;
        if let Some(before) = self.update.replace(placed) {
            self.kernels.release(before.id);
        }
        Ok(())
    }

    /// From now on, the model has this average, which begins as a copy of the state.
    /// [`move_average`](Self::move_average) moves it.
    pub fn add_average(&mut self, average: Average) -> Result<(), ProgramError> {
        for (state, slot) in [PARAMETERS, STATISTICS].into_iter().zip(average.slots()) {
            self.slots.add(&mut *self.kernels, &self.tables, slot)?;
            self.slots.copy(&mut *self.kernels, state, slot)?;
        }
        let placed = self.place(&average.update(&self.tables))?;
        self.averages.push((average, placed));
        // Evaluations may look at other slots now.
        self.forget_programs();
        Ok(())
    }

    fn place(&mut self, update: &Update) -> Result<PlacedUpdate, ProgramError> {
        let Model { slots, scalars, kept, arenas: Arenas { gradients, .. }, .. } = self;
        PlacedUpdate::compile(&mut *self.kernels, update, Places { slots, gradients: *gradients, scalars, kept })
    }

    fn has(&self, average: Average) -> bool {
        self.averages.iter().any(|(own, _)| *own == average)
    }

    /// The arenas in which programs of a mode find the state.
    fn arenas_of(&self, mode: Mode) -> Arenas {
        if mode == Mode::Training || !self.has(Average::Ema) {
            return self.arenas;
        }
        let [parameters, statistics] = Average::Ema.slots().map(|slot| self.slots.arena(slot));
        Arenas { parameters, statistics, ..self.arenas }
    }

    /// Sets a parameter or statistic, row-major in torchvision's shape, and its averages.
    pub fn set(&mut self, name: &str, values: &[f32]) -> Result<(), ProgramError> {
        let tensor = self.stored(name, self.arenas)?;
        let (expected, got) = (tensor.shape.elements(), values.len());
        if expected != got {
            return Err(ProgramError::Length { name: name.to_owned(), expected, got });
        }
        for (average, _) in &self.averages {
            let [parameters, statistics] = average.slots().map(|slot| self.slots.arena(slot));
            let copy = self.stored(name, Arenas { parameters, statistics, ..self.arenas })?;
            self.kernels.import(&copy, values)?;
        }
        Ok(self.kernels.import(&tensor, values)?)
    }

    /// A parameter or statistic as it is trained, row-major in torchvision's shape.
    pub fn get(&self, name: &str) -> Result<Vec<f32>, ProgramError> {
        Ok(self.kernels.export(&self.stored(name, self.arenas)?)?)
    }

    /// A parameter or statistic as evaluations see it: [`Average::Ema`]'s, if the model has that.
    pub fn evaluated(&self, name: &str) -> Result<Vec<f32>, ProgramError> {
        Ok(self.kernels.export(&self.stored(name, self.arenas_of(Mode::Evaluation))?)?)
    }

    /// Copies all slots out of the provider's memory. An earlier copy in `state` is written over,
    /// and its memory is used again.
    pub fn save_state(&self, state: &mut ModelState) -> Result<(), ProgramError> {
        self.slots.save(&*self.kernels, state)
    }

    /// The inverse of [`save_state`](Self::save_state). The steps from here on equal those that
    /// followed the copy, bit for bit. Convolutions on a GPU are an exception: each process chooses
    /// their algorithms by trial.
    ///
    /// # Errors
    /// [`ProgramError::Length`] if a slot is missing or of another length.
    pub fn load_state(&mut self, state: &ModelState) -> Result<(), ProgramError> {
        self.slots.load(&mut *self.kernels, state)
    }

    /// From now on, training steps leave gradients of `scale` times the loss.
    pub fn set_loss_scale(&mut self, scale: f32) {
        self.loss_scale = scale;
    }

    /// Whether all gradients that the last training step left are finite numbers.
    pub fn gradients_are_finite(&self) -> Result<bool, ProgramError> {
        let bytes = self.tables.parameters.bytes();
        Ok(self.kernels.is_finite(Region { arena: self.arenas.gradients, offset: 0, bytes })?)
    }

    /// A parameter's gradient, as the last training step left it: of the loss times its scale. An
    /// update may have changed it since.
    pub fn gradient(&self, name: &str) -> Result<Vec<f32>, ProgramError> {
        let entry = self.tables.parameters.get(name).ok_or_else(|| ProgramError::NoSuchParameter(name.to_owned()))?;
        Ok(self.kernels.export(&plain(entry, self.arenas.gradients))?)
    }

    /// Compiles the program for a size, unless there is one already. Returns the bytes that it
    /// works in.
    pub fn prepare(&mut self, mode: Mode, size: Size) -> Result<usize, ProgramError> {
        if let Some(program) = self.programs.get(&(mode, size)) {
            return Ok(program.lowered.work_bytes);
        }
        let lowered = self.lower(mode, size)?;
        let bytes = lowered.work_bytes;
        self.check_memory(mode, size, bytes)?;
        self.kernels.reserve(self.arenas.work, bytes)?;
        if self.kernels.is_apart() {
            self.taken = self.taken.max(bytes);
        }
        let id = self.kernels.compile(&lowered.ops)?;
        self.programs.insert((mode, size), Program { id, lowered });
        Ok(bytes)
    }

    fn lower(&self, mode: Mode, size: Size) -> Result<Lowered, ProgramError> {
        let tables = (&self.tables.parameters, &self.tables.statistics);
        lower((&self.network, &self.loss), tables, (mode, size), self.dtype, &*self.kernels, self.arenas_of(mode))
    }

    /// The operations of a prepared step, in the order in which they run: forward half, backward
    /// half, update.
    pub fn operations(&self, mode: Mode, size: Size) -> Result<Vec<Op>, ProgramError> {
        let program = self.programs.get(&(mode, size)).ok_or(ProgramError::NotPrepared)?;
        let update = self.update_of(mode).map_or(&[][..], |update| &update.ops);
        Ok([&program.lowered.ops, update].concat())
    }

    /// The provider's names of the code that computes each of a prepared step's
    /// [`operations`](Self::operations), where the provider tells ([`Kernels::implementation`]).
    pub fn implementations(&self, mode: Mode, size: Size) -> Result<Vec<Option<String>>, ProgramError> {
        let program = self.programs.get(&(mode, size)).ok_or(ProgramError::NotPrepared)?;
        let all = [Some((program.id, program.lowered.ops.len())), self.update_of(mode).map(|it| (it.id, it.ops.len()))];
        let each = all.into_iter().flatten().flat_map(|(id, count)| (0..count).map(move |op| (id, op)));
        Ok(each.map(|(id, op)| self.kernels.implementation(id, op)).collect())
    }

    /// The update that ends a step. An evaluation has none.
    fn update_of(&self, mode: Mode) -> Option<&PlacedUpdate> {
        self.update.as_ref().filter(|_| mode == Mode::Training)
    }

    /// Releases every program, because other sizes follow.
    pub fn forget_programs(&mut self) {
        for (_, program) in self.programs.drain() {
            self.kernels.release(program.id);
        }
    }

    /// From now on, gradients are handed out for exchange in this float type, rounded, instead of
    /// fp32.
    pub fn exchange_as(&mut self, dtype: DType) -> Result<(), ProgramError> {
        let values = self.tables.parameters.bytes() / DType::F32.bytes();
        self.exchanged = match dtype {
            DType::F32 => None,
            dtype => Some((self.kernels.allocate(values * dtype.bytes())?, dtype)),
        };
        Ok(())
    }

    /// Bytes of all gradients in the type in which they are exchanged.
    pub fn exchanged_bytes(&self) -> usize {
        let dtype = self.exchanged.map_or(DType::F32, |(_, dtype)| dtype);
        self.tables.parameters.bytes() / DType::F32.bytes() * dtype.bytes()
    }

    /// Copies exchanged gradients back to where the update reads them, if they were exchanged in
    /// another type.
    pub fn take_exchanged(&mut self) -> Result<(), ProgramError> {
        let whole = Region { arena: self.arenas.gradients, offset: 0, bytes: self.tables.parameters.bytes() };
        if let Some((arena, dtype)) = self.exchanged {
            self.kernels.convert((narrowed(whole, arena, dtype), dtype), (whole, DType::F32))?;
        }
        Ok(())
    }

    /// Where to cut the gradients into parts of about `part` bytes. Cuts lie between parameters;
    /// the last cut is the end. Nothing hides the exchange of the last part, so it is no larger
    /// than an eighth of a part, if the parameters' sizes allow that.
    pub fn gradient_cuts(&self, part: usize) -> Vec<usize> {
        let entries = self.tables.parameters.entries();
        let total = self.tables.parameters.bytes();
        let tail = entries.iter().map(|entry| entry.offset).find(|&offset| total - offset <= part / 8).unwrap_or(total);
        let (mut cuts, mut start) = (Vec::new(), 0);
        for entry in entries.iter().filter(|entry| entry.offset > 0 && entry.offset <= tail) {
            if entry.offset - start >= part || entry.offset == tail {
                cuts.push(entry.offset);
                start = entry.offset;
            }
        }
        cuts.push(total);
        cuts.dedup();
        cuts
    }

    /// Where all slots lie, for an exchange with other ranks.
    pub fn state_ranges(&mut self) -> Result<Vec<MemoryRange>, ProgramError> {
        self.slots.ranges(&mut *self.kernels)
    }

    /// The logits (N, K) of the last step. That step must have been of this mode and size, because
    /// all programs share one work arena.
    pub fn logits(&self, mode: Mode, size: Size) -> Result<Vec<f32>, ProgramError> {
        let program = self.programs.get(&(mode, size)).ok_or(ProgramError::NotPrepared)?;
        Ok(self.kernels.export(&program.lowered.logits)?)
    }

    fn stored(&self, name: &str, arenas: Arenas) -> Result<Tensor, ProgramError> {
        let parameter = self.tables.parameters.get(name).map(|entry| plain(entry, arenas.parameters));
        let statistic = || self.tables.statistics.get(name).map(|entry| plain(entry, arenas.statistics));
        parameter.or_else(statistic).ok_or_else(|| ProgramError::NoSuchParameter(name.to_owned()))
    }
}

/// The region that holds an fp32 region's values in an arena of another type.
fn narrowed(region: Region, arena: ArenaId, dtype: DType) -> Region {
    let scaled = |bytes: usize| bytes / DType::F32.bytes() * dtype.bytes();
    Region { arena, offset: scaled(region.offset), bytes: scaled(region.bytes) }
}

fn plain(entry: &Entry, arena: ArenaId) -> Tensor {
    Tensor {
        region: Region { arena, offset: entry.offset, bytes: entry.bytes() },
        shape: entry.shape,
        dtype: DType::F32,
        format: Format::Plain,
    }
}

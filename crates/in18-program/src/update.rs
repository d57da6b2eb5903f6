//! What a step does to the model's state: the third list of operations, beside forward and
//! backward.
//!
//! An optimizer makes the list, on operands that are ranges of slots and of gradients. A model
//! places the operands in its arenas and compiles the list, once for all sizes.

use in18_kernels::op::{Op, SGD_SCALARS};
use in18_kernels::{Kernels, ProgramId};
use in18_tensor::{ALIGNMENT, ArenaId, DType, Format, Region, Shape, Tensor};

use crate::average::Kept;
use crate::error::ProgramError;
use crate::state::{Slot, Slots};

/// Numbers that change from one update to the next. They are written before the step's update runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UpdateScalars {
    /// The learning rate.
    pub rate: f32,
    /// The share of the last velocity that is kept.
    pub momentum: f32,
    /// What gradients are multiplied with: 1 over the loss's scale, and also over the number of
    /// ranks if gradients are sums over the ranks.
    pub gradient_scale: f32,
    /// The share of a decoupled weight decay that is due: the rate over its highest value.
    pub decay: f32,
}

impl UpdateScalars {
    /// In the order of [`SGD_SCALARS`].
    fn bytes(self) -> Vec<u8> {
        let values: [f32; SGD_SCALARS] = [self.rate, self.momentum, self.gradient_scale, self.decay];
        values.iter().flat_map(|value| value.to_ne_bytes()).collect()
    }
}

/// An operand of an update: fp32 numbers in a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UpdateOperand {
    /// [`UpdateScalars`].
    Scalars,
    /// The share of the last average that is kept.
    Kept,
    /// The number 0.
    Zero,
    /// Gradients of parameters. They lie at the offsets of their parameters.
    Gradients {
        /// First byte.
        offset: usize,
        /// Length in bytes.
        bytes: usize,
    },
    /// A part of a slot.
    Slot {
        /// Which.
        slot: Slot,
        /// First byte.
        offset: usize,
        /// Length in bytes.
        bytes: usize,
    },
}

/// Operations that update a model's state.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// In the order in which they run.
    pub ops: Vec<Op<UpdateOperand>>,
}

impl Update {
    /// The slots that the operations name, each as often as they name it.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        let operands = self.ops.iter().flat_map(|op| op.operands());
        operands.filter_map(|operand| if let UpdateOperand::Slot { slot, .. } = operand { Some(slot) } else { None })
    }
}

/// An update in a model's memory.
pub(crate) struct PlacedUpdate {
    pub id: ProgramId,
    pub ops: Vec<Op>,
}

/// The memory of [`UpdateScalars`].
pub(crate) struct Scalars(ArenaId);

impl Scalars {
    pub fn new(kernels: &mut dyn Kernels) -> Result<Self, ProgramError> {
        Ok(Scalars(kernels.allocate_host(ALIGNMENT)?))
    }

    pub fn write(&self, kernels: &mut dyn Kernels, scalars: UpdateScalars) -> Result<(), ProgramError> {
        Ok(kernels.write(self.region(), &scalars.bytes())?)
    }

    fn region(&self) -> Region {
        Region { arena: self.0, offset: 0, bytes: SGD_SCALARS * DType::F32.bytes() }
    }
}

/// Where an update's operands lie.
#[derive(Clone, Copy)]
pub(crate) struct Places<'a> {
    pub slots: &'a Slots,
    pub gradients: ArenaId,
    pub scalars: &'a Scalars,
    pub kept: &'a Kept,
}

impl PlacedUpdate {
    pub fn compile(
        kernels: &mut dyn Kernels,
        update: &Update,
        Places { slots, gradients, scalars, kept }: Places<'_>,
    ) -> Result<Self, ProgramError> {
        let tensor = |operand| {
            let region = match operand {
                UpdateOperand::Scalars => scalars.region(),
                UpdateOperand::Kept => kept.share(),
                UpdateOperand::Zero => kept.zero(),
                UpdateOperand::Gradients { offset, bytes } => Region { arena: gradients, offset, bytes },
                UpdateOperand::Slot { slot, offset, bytes } => Region { arena: slots.arena(slot), offset, bytes },
            };
            let shape = Shape::new(&[region.bytes / DType::F32.bytes()]);
            Tensor { region, shape, dtype: DType::F32, format: Format::Plain }
        };
        let ops: Vec<Op> = update.ops.iter().map(|op| op.map(tensor)).collect();
        Ok(PlacedUpdate { id: kernels.compile(&ops)?, ops })
    }
}

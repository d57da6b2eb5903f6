//! What a model keeps from step to step: named slots. Each slot is an arena of fp32 numbers that
//! one of the network's tables lays out.
//!
//! A network brings two slots. An optimizer brings those that it wants. Code that saves, loads or
//! shares a model goes through the slots. It knows neither how many there are nor what they mean.

use in18_kernels::Kernels;
use in18_tensor::{ArenaId, MemoryRange, Region};

use crate::error::ProgramError;
use crate::table::ParameterTable;

/// The table that says where a slot's values lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// [`ParameterTable::parameters`].
    Parameters,
    /// [`ParameterTable::statistics`].
    Statistics,
}

/// Names a part of a model's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Such as `velocity`.
    pub name: &'static str,
    /// Where its values lie.
    pub layout: Layout,
    /// The prefix of its tensors' names in files.
    pub prefix: &'static str,
}

/// The slot of what is trained.
pub const PARAMETERS: Slot = Slot { name: "parameters", layout: Layout::Parameters, prefix: "" };

/// The slot of batch normalisation's running statistics.
pub const STATISTICS: Slot = Slot { name: "statistics", layout: Layout::Statistics, prefix: "" };

/// The tables of one network.
#[derive(Clone, Debug, PartialEq)]
pub struct StateTables {
    /// The trainable parameters.
    pub parameters: ParameterTable,
    /// The running statistics.
    pub statistics: ParameterTable,
}

impl StateTables {
    /// The tables of this network.
    pub fn of(network: &crate::Network) -> Self {
        let (parameters, statistics) = (ParameterTable::parameters(network), ParameterTable::statistics(network));
        StateTables { parameters, statistics }
    }

    /// The table that lays a slot out.
    pub fn table(&self, slot: Slot) -> &ParameterTable {
        match slot.layout {
            Layout::Parameters => &self.parameters,
            Layout::Statistics => &self.statistics,
        }
    }
}

/// Copies of a model's slots: all that a step builds on, except its batch and its scalars. fp32,
/// with each entry at its offset in the slot's table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelState {
    /// In the model's order.
    pub slots: Vec<(Slot, Vec<u8>)>,
}

impl ModelState {
    /// A state of these slots, filled with zeros.
    pub fn zeros(tables: &StateTables, slots: &[Slot]) -> Self {
        let zeros = slots.iter().map(|&slot| (slot, vec![0; tables.table(slot).bytes()]));
        ModelState { slots: zeros.collect() }
    }
}

/// A model's slots in a provider's memory.
pub(crate) struct Slots {
    slots: Vec<(Slot, Region)>,
}

impl Slots {
    /// The slots that every network has, as zeros.
    pub fn new(kernels: &mut dyn Kernels, tables: &StateTables) -> Result<Self, ProgramError> {
        let mut slots = Slots { slots: Vec::new() };
        for slot in [PARAMETERS, STATISTICS] {
            slots.add(kernels, tables, slot)?;
        }
        Ok(slots)
    }

    /// Adds a slot of zeros, unless there is one of this name.
    pub fn add(&mut self, kernels: &mut dyn Kernels, tables: &StateTables, slot: Slot) -> Result<(), ProgramError> {
        if self.slots.iter().all(|(own, _)| own.name != slot.name) {
            let bytes = tables.table(slot).bytes();
            let arena = kernels.allocate(bytes)?;
            self.slots.push((slot, Region { arena, offset: 0, bytes }));
        }
        Ok(())
    }

    /// Copies one slot's values to another of the same layout.
    pub fn copy(&self, kernels: &mut dyn Kernels, from: Slot, to: Slot) -> Result<(), ProgramError> {
        let mut buffer = vec![0; self.region(from).bytes];
        kernels.read(self.region(from), &mut buffer)?;
        Ok(kernels.write(self.region(to), &buffer)?)
    }

    /// The slots, without their memory.
    pub fn names(&self) -> Vec<Slot> {
        self.slots.iter().map(|(slot, _)| *slot).collect()
    }

    /// A slot's arena.
    ///
    /// # Panics
    /// If there is no such slot.
    pub fn arena(&self, slot: Slot) -> ArenaId {
        self.region(slot).arena
    }

    fn region(&self, slot: Slot) -> Region {
        let found = self.slots.iter().find(|(own, _)| own.name == slot.name);
        found.unwrap_or_else(|| panic!("the model has no slot named {}", slot.name)).1
    }

    /// Bytes of all slots.
    pub fn bytes(&self) -> usize {
        self.slots.iter().map(|(_, region)| region.bytes).sum()
    }

    /// Copies all slots out of the provider's memory. An earlier copy in `state` is written over,
    /// and its memory is used again.
    pub fn save(&self, kernels: &dyn Kernels, state: &mut ModelState) -> Result<(), ProgramError> {
        state.slots.resize_with(self.slots.len(), || (PARAMETERS, Vec::new()));
        for ((slot, region), (name, buffer)) in self.slots.iter().zip(&mut state.slots) {
            *name = *slot;
            buffer.resize(region.bytes, 0);
            kernels.read(*region, buffer)?;
        }
        Ok(())
    }

    /// The inverse of [`save`](Self::save).
    pub fn load(&self, kernels: &mut dyn Kernels, state: &ModelState) -> Result<(), ProgramError> {
        for (slot, region) in &self.slots {
            let found = state.slots.iter().find(|(name, _)| name.name == slot.name);
            let buffer = found.map_or(&[][..], |(_, buffer)| buffer);
            if buffer.len() != region.bytes {
                let (name, expected, got) = (slot.name.to_owned(), region.bytes, buffer.len());
                return Err(ProgramError::Length { name, expected, got });
            }
            kernels.write(*region, buffer)?;
        }
        Ok(())
    }

    /// Where the slots lie, for an exchange with other processes.
    pub fn ranges(&self, kernels: &mut dyn Kernels) -> Result<Vec<MemoryRange>, ProgramError> {
        let ranges = self.slots.iter().map(|(_, region)| kernels.memory_range(*region));
        Ok(ranges.collect::<Result<_, _>>()?)
    }
}

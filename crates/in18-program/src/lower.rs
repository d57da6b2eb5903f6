//! A network at one size becomes a flat list of operations over planned memory.
//!
//! Each layer emits its own operations ([`Layer::forward`](crate::layers::Layer::forward),
//! [`Layer::backward`](crate::layers::Layer::backward)). The backward pass is the network walked
//! from its end: a layer takes the gradients that its readers left for its output and leaves
//! gradients for its inputs. What the backward half needs of the forward half lives until then; the
//! planner sees that from who reads it.

mod fusion;
mod lowering;

use std::ops::Range;

use in18_kernels::Kernels;
use in18_kernels::op::Op;
use in18_tensor::{ArenaId, DType, Tensor};

use crate::error::ProgramError;
use crate::loss::{Loss, LossTensors};
use crate::model::{Mode, Size};
use crate::network::Network;
use crate::table::ParameterTable;

pub use self::fusion::Fusion;
pub use self::lowering::{Lowering, ValueId};

/// The arenas that a program runs in.
#[derive(Clone, Copy, Debug)]
pub struct Arenas {
    /// fp32 parameters, by [`ParameterTable::parameters`].
    pub parameters: ArenaId,
    /// Their gradients, at the same offsets.
    pub gradients: ArenaId,
    /// Running statistics, by [`ParameterTable::statistics`].
    pub statistics: ArenaId,
    /// Values that live only during a step.
    pub work: ArenaId,
}

/// A network at one size.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// All operations: the forward half, then the backward half.
    pub ops: Vec<Op>,
    /// The operations from pixels to loss and counts.
    pub forward: Range<usize>,
    /// The operations from loss to gradients; empty for evaluation.
    pub backward: Range<usize>,
    /// (N, 3, H, W) u8, channels last.
    pub pixels: Tensor,
    /// What the loss reads and writes.
    pub loss: LossTensors,
    /// (N, K) fp32.
    pub logits: Tensor,
    /// Bytes of the work arena.
    pub work_bytes: usize,
    /// How early gradients are final: pairs of an operation's number and a length in bytes. After
    /// that operation, the arena of gradients is final from its beginning to that length. Both
    /// numbers grow from pair to pair.
    pub finished_gradients: Vec<(usize, usize)>,
}

/// Compiles a network for one size.
pub fn lower(
    (network, loss): (&Network, &Loss),
    tables: (&ParameterTable, &ParameterTable),
    (mode, size): (Mode, Size),
    dtype: DType,
    kernels: &dyn Kernels,
    arenas: Arenas,
) -> Result<Lowered, ProgramError> {
    let mut lowering = Lowering::new(network, tables, (mode, size), dtype, kernels, arenas);
    let logits = lowering.forward()?;
    let values = loss.values(&mut lowering, logits)?;
    loss.forward(&mut lowering, logits, &values);
    let forward = 0..lowering.ops.len();
    if mode == Mode::Training {
        let dlogits = loss.backward(&mut lowering, logits, &values);
        lowering.backward(dlogits);
    }
    let backward = forward.end..lowering.ops.len();
    let (tensors, work_bytes) = lowering.place();
    let tensor = |value: ValueId| tensors[value.0];
    let ops: Vec<Op> = lowering.ops.iter().map(|op| op.map(tensor)).collect();
    Ok(Lowered {
        finished_gradients: finished_gradients(&ops, arenas.gradients),
        ops,
        forward,
        backward,
        pixels: tensor(lowering.pixels()),
        loss: values.map(tensor),
        logits: tensor(logits),
        work_bytes,
    })
}

/// How early gradients are final: pairs of an operation's number and a length in bytes. After that
/// operation, the arena of gradients is final from its beginning to that length. Both numbers grow
/// from pair to pair. The table of parameters has the order of the backward pass, except where one
/// operation finishes several parameters.
fn finished_gradients(ops: &[Op], gradients: ArenaId) -> Vec<(usize, usize)> {
    // (first byte, byte after the last, operation)
    let mut written: Vec<(usize, usize, usize)> = Vec::new();
    for (index, op) in ops.iter().enumerate() {
        for tensor in op.writes().iter().filter(|tensor| tensor.region.arena == gradients) {
            written.push((tensor.region.offset, tensor.region.end(), index));
        }
    }
    written.sort_unstable();
    let mut finished: Vec<(usize, usize)> = Vec::new();
    let mut latest = 0;
    for (_, end, op) in written {
        latest = latest.max(op);
        match finished.last_mut() {
            Some(last) if last.0 == latest => last.1 = end,
            _ => finished.push((latest, end)),
        }
    }
    finished
}

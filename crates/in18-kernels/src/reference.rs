//! The oracle: every operation in the most obvious way, checked by hand-computed cases and finite
//! differences.
//!
//! It owns plain bytes and nested loops, and must stay free of cleverness. Blocked layouts, fused
//! passes, threads and vector code belong to the providers that are compared with it. Every
//! operation loads all of its operands as `Vec<f32>`, computes with sums in f64, and then stores
//! its results. An output may therefore lie over an input.
//!
//! Activations are held as fp32 in logical (N, C, H, W) order, whatever their type. Those of a bf16
//! or fp16 program are rounded when they are stored, as another provider would round them. A
//! convolution of such activations rounds its weights when it reads them. Everything else is fp32.

mod average;
mod avg_pool;
mod batch_norm;
mod blur_pool;
mod clip_gradients;
mod conv;
mod conv_norm;
mod cross_entropy;
mod elementwise;
mod lars;
mod linear;
mod memory;
mod normalize;
mod pool;
mod sgd;
mod soft_loss;

use std::ops::Range;

use in18_tensor::{ArenaId, DType, MemoryRange, Region, Shape, Tensor};

use self::memory::Memory;
use crate::op::check::Checker;
use crate::{KernelError, Kernels, Op, ProgramId};

/// Bytes of one place in a max pooling's workspace: the flat index into the source of an output's
/// maximum, as u32.
const MAX_POOL_INDEX_BYTES: usize = 4;

/// The naive provider. It is slow: use it for tests.
#[derive(Default)]
pub struct Reference {
    memory: Memory,
    /// By [`ProgramId`]; `None` once released.
    programs: Vec<Option<Vec<Op>>>,
}

impl Reference {
    /// A provider without arenas and programs.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Kernels for Reference {
    fn describe(&self) -> String {
        "reference: naive loops with sums in fp64, one thread".to_owned()
    }

    fn native(&self, dtype: DType) -> bool {
        dtype == DType::F32
    }

    fn supports(&self, dtype: DType) -> bool {
        dtype.is_float()
    }

    fn activation_bytes(&self, shape: Shape, _: DType) -> usize {
        shape.elements() * DType::F32.bytes()
    }

    fn max_pool_workspace_bytes(&self, dst: Shape, _: DType) -> Result<usize, KernelError> {
        Ok(dst.elements() * MAX_POOL_INDEX_BYTES)
    }

    fn allocate(&mut self, bytes: usize) -> Result<ArenaId, KernelError> {
        self.memory.allocate(bytes)
    }

    fn reserve(&mut self, arena: ArenaId, bytes: usize) -> Result<(), KernelError> {
        self.memory.reserve(arena, bytes)
    }

    fn write(&mut self, region: Region, bytes: &[u8]) -> Result<(), KernelError> {
        let place = self.memory.bytes_mut(region)?;
        same_length("bytes written to a region", place.len(), bytes.len())?;
        place.copy_from_slice(bytes);
        Ok(())
    }

    fn read(&self, region: Region, bytes: &mut [u8]) -> Result<(), KernelError> {
        let place = self.memory.bytes(region)?;
        same_length("bytes read from a region", place.len(), bytes.len())?;
        bytes.copy_from_slice(place);
        Ok(())
    }

    fn memory_range(&mut self, _: Region) -> Result<MemoryRange, KernelError> {
        let what = "exchanges with other processes".to_owned();
        Err(KernelError::Unsupported { provider: "reference", what, remedy: "use another engine" })
    }

    fn import(&mut self, tensor: &Tensor, values: &[f32]) -> Result<(), KernelError> {
        self.memory.store(tensor, values)
    }

    fn export(&self, tensor: &Tensor) -> Result<Vec<f32>, KernelError> {
        self.memory.load(tensor)
    }

    fn compile(&mut self, ops: &[Op]) -> Result<ProgramId, KernelError> {
        for op in ops {
            op.check()?;
            check_workspace(op)?;
        }
        self.programs.push(Some(ops.to_vec()));
        Ok(ProgramId(self.programs.len() as u32 - 1))
    }

    fn release(&mut self, program: ProgramId) {
        if let Some(held) = self.programs.get_mut(program.0 as usize) {
            *held = None;
        }
    }

    fn run(&mut self, program: ProgramId, ops: Range<usize>) -> Result<(), KernelError> {
        let held = self.programs.get(program.0 as usize).and_then(Option::as_ref);
        let held = held.ok_or(KernelError::NoSuchProgram(program.0))?;
        let range = held.get(ops.clone()).ok_or(KernelError::Length {
            what: "operations of a program",
            expected: held.len(),
            got: ops.end,
        })?;
        for op in range {
            each_operation!(op, op => op.run(&mut self.memory))?;
        }
        Ok(())
    }
}

/// What each operation's file implements for each of its halves. The operands have been
/// [checked](Op::check).
trait Operation {
    /// Loads the operands, computes, stores the results.
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError>;
}

/// Checks the length of a workspace. Each provider decides how long its workspaces are.
fn check_workspace(op: &Op) -> Result<(), KernelError> {
    let (workspace, dst) = match op {
        Op::MaxPool(op) => (&op.workspace, &op.dst),
        Op::MaxPoolBackward(op) => (&op.workspace, &op.ddst),
        _ => return Ok(()),
    };
    Checker::new(op.name(), dst).workspace(workspace, dst.shape.elements() * MAX_POOL_INDEX_BYTES)
}

fn same_length(what: &'static str, expected: usize, got: usize) -> Result<(), KernelError> {
    if expected == got { Ok(()) } else { Err(KernelError::Length { what, expected, got }) }
}

fn to_f32(sums: Vec<f64>) -> Vec<f32> {
    sums.into_iter().map(|sum| sum as f32).collect()
}

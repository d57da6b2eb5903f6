//! The trait that hardware stands behind.

use std::ops::Range;

use in18_tensor::{ArenaId, DType, MemoryRange, Region, Shape, Tensor, from_bytes, to_bytes};

use crate::{KernelError, Op};

/// Names a list of operations that a provider has compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProgramId(pub u32);

/// Bytes of a region on their way out of a provider's memory.
#[derive(Debug)]
pub enum PendingRead {
    /// They are here.
    Here(Vec<u8>),
    /// They come once the operations before have been done; the provider knows the copy by this number.
    Numbered(u32),
}

/// Bytes of a device's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceMemory {
    /// In use by this process.
    pub allocated: u64,
    /// The most that was.
    pub max_allocated: u64,
    /// Taken from the device, what is held in reserve included.
    pub cached: u64,
    /// The most that was.
    pub max_cached: u64,
}

/// A provider of kernels: it owns memory, compiles lists of operations against it, and runs them.
///
/// The caller plans memory: it asks for sizes, lays regions out in arenas, and hands over operations that
/// name those regions. After [`compile`](Kernels::compile) a run allocates nothing.
///
/// Operations, writes and reads take effect one after another, in the order in which they are called. A provider may return
/// from [`run`](Kernels::run) before they have ([`is_apart`](Kernels::is_apart)).
///
/// Operations of one program run one after another, in the order given. Distinct regions of one arena may be
/// planned over the same bytes; an operation's own operands never overlap unless it says so.
pub trait Kernels {
    /// What runs, in a few words for a log: library, version, instruction set or device.
    fn describe(&self) -> String;

    /// Whether activations of this type are computed by the hardware itself.
    fn native(&self, dtype: DType) -> bool;

    /// Whether activations may be of this type, be it by slower means.
    fn supports(&self, dtype: DType) -> bool;

    /// Bytes that an activation (N, C, H, W) takes in [`Format::Activation`](in18_tensor::Format::Activation).
    fn activation_bytes(&self, shape: Shape, dtype: DType) -> usize;

    /// Bytes that a max pooling keeps between its halves, for its output (N, C, H, W).
    fn max_pool_workspace_bytes(&self, dst: Shape, dtype: DType) -> Result<usize, KernelError>;

    /// Whether memory and operations are a device's of its own: operations go on after their functions have returned, and
    /// memory is taken when it is reserved. Elsewhere memory is taken when it is first used.
    fn is_apart(&self) -> bool {
        false
    }

    /// Waits for all operations that were started.
    fn synchronize(&self) -> Result<(), KernelError> {
        Ok(())
    }

    /// Figures of the device's own memory; none without one.
    fn device_memory(&self) -> Option<DeviceMemory> {
        None
    }

    /// Bytes that arenas could still take; none where nobody knows.
    fn available_bytes(&self) -> Option<usize> {
        None
    }

    /// A new arena, filled with zeros.
    fn allocate(&mut self, bytes: usize) -> Result<ArenaId, KernelError>;

    /// A new arena of zeros in the host's memory, for the scalars of a step: operations read them when they are started, so they
    /// may be written anew while a device still computes the step before.
    fn allocate_host(&mut self, bytes: usize) -> Result<ArenaId, KernelError> {
        self.allocate(bytes)
    }

    /// Makes an arena at least `bytes` long. Its id stays valid, for compiled programs too; its content is lost
    /// (zeros) if it had to grow.
    fn reserve(&mut self, arena: ArenaId, bytes: usize) -> Result<(), KernelError>;

    /// Copies raw bytes into a region.
    fn write(&mut self, region: Region, bytes: &[u8]) -> Result<(), KernelError>;

    /// Copies raw bytes out of a region.
    fn read(&self, region: Region, bytes: &mut [u8]) -> Result<(), KernelError>;

    /// Starts to copy raw bytes out of a region, without waiting for the operations before.
    fn start_read(&mut self, region: Region) -> Result<PendingRead, KernelError> {
        let mut bytes = vec![0; region.bytes];
        self.read(region, &mut bytes)?;
        Ok(PendingRead::Here(bytes))
    }

    /// Whether a copy is here.
    fn is_read(&self, _: &PendingRead) -> Result<bool, KernelError> {
        Ok(true)
    }

    /// Waits for a copy, and its bytes. Every copy that was started must be finished.
    fn finish_read(&mut self, read: PendingRead) -> Result<Vec<u8>, KernelError> {
        match read {
            PendingRead::Here(bytes) => Ok(bytes),
            PendingRead::Numbered(number) => Err(KernelError::NoSuchRead(number)),
        }
    }

    /// Copies values of one float type to a region of another, rounded to the nearest; both are in the same order and as many.
    fn convert(&mut self, from: (Region, DType), to: (Region, DType)) -> Result<(), KernelError> {
        const CHUNK: usize = 1 << 18;
        let ((from, from_type), (to, to_type)) = (from, to);
        let values = from.bytes / from_type.bytes();
        if values * to_type.bytes() != to.bytes {
            let (what, expected) = ("values to convert, in bytes", values * to_type.bytes());
            return Err(KernelError::Length { what, expected, got: to.bytes });
        }
        for start in (0..values).step_by(CHUNK) {
            let count = CHUNK.min(values - start);
            let part = |of: Region, dtype: DType| Region {
                offset: of.offset + start * dtype.bytes(),
                bytes: count * dtype.bytes(),
                ..of
            };
            let mut bytes = vec![0; count * from_type.bytes()];
            self.read(part(from, from_type), &mut bytes)?;
            self.write(part(to, to_type), &to_bytes(to_type, &from_bytes(from_type, &bytes)))?;
        }
        Ok(())
    }

    /// A region as other processes' bytes reach it; whatever it held may be another afterwards.
    fn memory_range(&mut self, region: Region) -> Result<MemoryRange, KernelError>;

    /// Stores values given in the logical order of the tensor's shape (row-major NCHW for an activation), in the
    /// tensor's own type and format. For tests and inspection; it may be slow.
    fn import(&mut self, tensor: &Tensor, values: &[f32]) -> Result<(), KernelError>;

    /// The inverse of [`import`](Kernels::import).
    fn export(&self, tensor: &Tensor) -> Result<Vec<f32>, KernelError>;

    /// Prepares a list of operations to be run.
    fn compile(&mut self, ops: &[Op]) -> Result<ProgramId, KernelError>;

    /// Forgets a program.
    fn release(&mut self, program: ProgramId);

    /// What computes an operation of a program, for people: the provider's own name of the code that it chose, such as
    /// `jit:avx2`. None if the provider does not tell.
    fn implementation(&self, program: ProgramId, op: usize) -> Option<String> {
        let _ = (program, op);
        None
    }

    /// A program of one operation, the product of two square matrices of random numbers of a type, by the fastest code that the
    /// provider has for it: its rate is what others are compared with. Its memory lives as long as the provider. None if the provider has no such thing.
    fn compile_product(&mut self, side: usize, dtype: DType) -> Result<Option<ProgramId>, KernelError> {
        let _ = (side, dtype);
        Ok(None)
    }

    /// Runs a range of a program's operations.
    fn run(&mut self, program: ProgramId, ops: Range<usize>) -> Result<(), KernelError>;

    /// Whether all fp32 values of a region are finite numbers.
    fn is_finite(&self, region: Region) -> Result<bool, KernelError> {
        const CHUNK: usize = 1 << 20;
        let mut bytes = vec![0; CHUNK.min(region.bytes)];
        for start in (0..region.bytes).step_by(CHUNK) {
            let part = &mut bytes[..CHUNK.min(region.bytes - start)];
            self.read(Region { offset: region.offset + start, bytes: part.len(), ..region }, part)?;
            let mut values =
                part.chunks_exact(4).map(|value| f32::from_ne_bytes([value[0], value[1], value[2], value[3]]));
            if !values.all(f32::is_finite) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

//! The trait that hardware stands behind.

use std::ops::Range;

use in18_tensor::{ArenaId, DType, MemoryRange, Region, Shape, Tensor, from_bytes, to_bytes};

use crate::{KernelError, Op};

/// Names a list of operations that a provider has compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProgramId(pub u32);

/// A copy of a region out of a provider's memory, which may still be on its way.
#[derive(Debug)]
pub enum PendingRead {
    /// The bytes have arrived.
    Here(Vec<u8>),
    /// The bytes arrive once all earlier operations have ended. The provider knows the copy by this
    /// number.
    Numbered(u32),
}

/// How much of a device's memory is in use, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceMemory {
    /// In use by this process now.
    pub allocated: u64,
    /// The highest value that `allocated` has had.
    pub max_allocated: u64,
    /// Taken from the device by this process, including what it holds in reserve.
    pub cached: u64,
    /// The highest value that `cached` has had.
    pub max_cached: u64,
}

/// A provider of kernels: it owns memory, compiles lists of operations against it, and runs them.
///
/// The caller plans memory. It asks for sizes, lays regions out in arenas, and hands over
/// operations that name those regions. After [`compile`](Kernels::compile), a run allocates
/// nothing.
///
/// Operations, writes and reads take effect one after another, in the order in which they are
/// called. [`run`](Kernels::run) may return before the operations have ended (see
/// [`is_apart`](Kernels::is_apart)).
///
/// Operations of one program run one after another, in the order given. Distinct regions of one
/// arena may be planned over the same bytes. The operands of one operation never overlap, unless
/// the operation's documentation allows it.
pub trait Kernels {
    /// What computes, in a few words for a log: library, version, instruction set or device.
    fn describe(&self) -> String;

    /// Whether activations of this type are computed by the hardware itself.
    fn native(&self, dtype: DType) -> bool;

    /// Whether activations may be of this type, even if the provider computes them by slower means.
    fn supports(&self, dtype: DType) -> bool;

    /// Bytes that an activation (N, C, H, W) takes in
    /// [`Format::Activation`](in18_tensor::Format::Activation).
    fn activation_bytes(&self, shape: Shape, dtype: DType) -> usize;

    /// Bytes that max pooling saves in its forward half for its backward half. `dst` is the shape
    /// of its output (N, C, H, W).
    fn max_pool_workspace_bytes(&self, dst: Shape, dtype: DType) -> Result<usize, KernelError>;

    /// Whether a device of its own computes, beside the calling thread. If so, operations may still
    /// run after their functions have returned, and memory counts as taken when it is reserved.
    /// Otherwise memory counts as taken when it is first used.
    fn is_apart(&self) -> bool {
        false
    }

    /// Waits until all operations that were started have ended.
    fn synchronize(&self) -> Result<(), KernelError> {
        Ok(())
    }

    /// Use of the device's own memory; `None` if the provider has no device of its own.
    fn device_memory(&self) -> Option<DeviceMemory> {
        None
    }

    /// Bytes that arenas could still take; `None` if the provider cannot know.
    fn available_bytes(&self) -> Option<usize> {
        None
    }

    /// A new arena, filled with zeros.
    fn allocate(&mut self, bytes: usize) -> Result<ArenaId, KernelError>;

    /// A new arena of zeros in the host's memory, for the scalars of a step. An operation reads its
    /// scalars when it is started. They may therefore be written for the next step while a device
    /// still computes this one.
    fn allocate_host(&mut self, bytes: usize) -> Result<ArenaId, KernelError> {
        self.allocate(bytes)
    }

    /// Makes an arena at least `bytes` long. Its id stays valid, also in compiled programs. If the
    /// arena had to grow, its content is lost: it holds zeros.
    fn reserve(&mut self, arena: ArenaId, bytes: usize) -> Result<(), KernelError>;

    /// Copies raw bytes into a region.
    fn write(&mut self, region: Region, bytes: &[u8]) -> Result<(), KernelError>;

    /// Copies raw bytes out of a region.
    fn read(&self, region: Region, bytes: &mut [u8]) -> Result<(), KernelError>;

    /// Starts to copy raw bytes out of a region, without waiting for earlier operations.
    fn start_read(&mut self, region: Region) -> Result<PendingRead, KernelError> {
        let mut bytes = vec![0; region.bytes];
        self.read(region, &mut bytes)?;
        Ok(PendingRead::Here(bytes))
    }

    /// Whether a copy has arrived.
    fn is_read(&self, _: &PendingRead) -> Result<bool, KernelError> {
        Ok(true)
    }

    /// Waits for a copy and returns its bytes. Every copy that was started must be finished.
    fn finish_read(&mut self, read: PendingRead) -> Result<Vec<u8>, KernelError> {
        match read {
            PendingRead::Here(bytes) => Ok(bytes),
            PendingRead::Numbered(number) => Err(KernelError::NoSuchRead(number)),
        }
    }

    /// Copies values of one float type to a region of another type, rounded to the nearest. Both
    /// regions hold the same number of values in the same order.
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

    /// A region by its address, for exchanges with other processes. An exchange may change its
    /// content. It must end before the next call that touches the region, makes its arena larger or
    /// drops the provider.
    fn memory_range(&mut self, region: Region) -> Result<MemoryRange, KernelError>;

    /// Stores values in the tensor's own type and format. `values` are in the logical order of the
    /// tensor's shape (row-major NCHW for an activation). For tests and inspection; it may be slow.
    fn import(&mut self, tensor: &Tensor, values: &[f32]) -> Result<(), KernelError>;

    /// The inverse of [`import`](Kernels::import).
    fn export(&self, tensor: &Tensor) -> Result<Vec<f32>, KernelError>;

    /// Prepares a list of operations to be run.
    fn compile(&mut self, ops: &[Op]) -> Result<ProgramId, KernelError>;

    /// Forgets a program.
    fn release(&mut self, program: ProgramId);

    /// The provider's own name of the code that computes an operation of a program, such as
    /// `jit:avx2`, for people. `None` if the provider does not tell.
    fn implementation(&self, program: ProgramId, op: usize) -> Option<String> {
        let _ = (program, op);
        None
    }

    /// A program of one operation: the product of two square matrices of random numbers, by the
    /// provider's fastest code for this type. Other operations' rates are compared with its rate.
    /// Its memory lives as long as the provider. `None` if the provider has no such product.
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

//! The provider: arenas, compiled programs, and the trait.

use std::collections::HashMap;
use std::ops::Range;

use in18_cuda::{Gpu, Memory, Read};
use in18_kernels::{DeviceMemory, KernelError, Kernels, Op, PendingRead, ProgramId};
use in18_system::proc;
use in18_tensor::{ArenaId, DType, Format, MemoryRange, Region, Shape, Tensor};

use crate::gpu;
use crate::memory::{Context, strides};
use crate::ops::{self, Step};
use crate::safe::{self, Device, Element, View, check};
use crate::sys::{self, torch};

/// libtorch on one device.
pub struct Torch {
    /// Programs by id. A released program leaves a gap, so that its id is never reused. The
    /// programs' views are dropped before the memory that they lie in.
    programs: Vec<Option<Program>>,
    context: Context,
    /// Running copies from the GPU, by number.
    reads: HashMap<u32, Read>,
    next_read: u32,
}

/// A compiled program.
struct Program {
    ops: Vec<Op>,
    steps: Vec<Step>,
    /// By the first operation's number: how many operations run faster as one step, and that step.
    together: HashMap<usize, (usize, Step)>,
    /// [`Context::moves`] when the steps were made.
    made_at: u64,
}

impl Program {
    fn new(ops: Vec<Op>, context: &mut Context) -> Result<Self, KernelError> {
        loop {
            let made_at = context.moves;
            let steps = ops.iter().map(|op| ops::compile(op, context)).collect::<Result<Vec<Step>, KernelError>>()?;
            // A later operation may have moved the scratch memory. Then compile again, so that the
            // earlier operations see where it is.
            if context.moves == made_at {
                let together = Program::together(&ops, context)?;
                return Ok(Program { ops, steps, together, made_at });
            }
        }
    }

    fn together(ops: &[Op], context: &Context) -> Result<HashMap<usize, (usize, Step)>, KernelError> {
        let (mut together, mut next) = (HashMap::new(), 0);
        while next < ops.len() {
            let count = ops::updates_alike(&ops[next..]);
            if count > 1 {
                together.insert(next, (count, ops::update(&ops[next..next + count], context)?));
            }
            next += count.max(1);
        }
        Ok(together)
    }
}

impl Torch {
    /// A provider on a device. On the CPU, `threads` is for the whole process; `None`: libtorch
    /// chooses. `tf32`: whether a GPU may compute fp32 products in TF32, which has a mantissa of 10
    /// bits.
    pub fn new(device: Device, threads: Option<usize>, tf32: bool) -> Result<Self, KernelError> {
        sys::load()?;
        safe::make_reproducible();
        let gpu = match device {
            // Before anything else uses libtorch on a GPU.
            Device::Cuda(number) => Some(gpu::open(number, tf32)?),
            Device::Cpu => None,
        };
        if let Some(threads) = threads {
            safe::set_threads(threads)?;
        }
        Torch::on(device, gpu)
    }

    /// For tests: a provider that computes on the CPU, but runs the kernels of an emulated GPU
    /// where a GPU would run its own.
    pub fn emulated(gpu: Gpu) -> Result<Self, KernelError> {
        sys::load()?;
        safe::make_reproducible();
        Torch::on(Device::Cpu, Some(gpu))
    }

    fn on(device: Device, gpu: Option<Gpu>) -> Result<Self, KernelError> {
        let (programs, context, reads) = (Vec::new(), Context::new(device, gpu)?, HashMap::new());
        Ok(Torch { programs, context, reads, next_read: 0 })
    }
}

impl Kernels for Torch {
    fn describe(&self) -> String {
        let (version, device) = (safe::version(), self.context.device);
        match device {
            Device::Cpu => {
                let (capability, threads) = (safe::cpu_capability(), safe::threads());
                let plural = if threads == 1 { "" } else { "s" };
                let emulated = if self.context.gpu.is_some() { ", and an emulated GPU" } else { "" };
                format!("libtorch {version} on {device} ({capability}), {threads} thread{plural}{emulated}")
            }
            Device::Cuda(_) => {
                let gpu = self.context.gpu.as_ref().map_or("", Gpu::description);
                format!("libtorch {version} on {device} ({gpu})")
            }
        }
    }

    fn native(&self, dtype: DType) -> bool {
        match (dtype, self.context.device) {
            (DType::F32, _) => true,
            (DType::Bf16, Device::Cpu) => is_x86_feature_detected!("avx512bf16"),
            // By the matrix units of Ampere and of Turing, the oldest that CUDA 13 supports.
            (DType::Bf16, Device::Cuda(_)) => self.capability() >= (8, 0),
            (DType::F16, Device::Cuda(_)) => self.capability() >= (7, 5),
            (DType::F16, Device::Cpu) | (DType::U8 | DType::I32, _) => false,
        }
    }

    fn supports(&self, dtype: DType) -> bool {
        dtype.is_float()
    }

    fn activation_bytes(&self, shape: Shape, dtype: DType) -> usize {
        shape.elements() * dtype.bytes()
    }

    fn max_pool_workspace_bytes(&self, dst: Shape, dtype: DType) -> Result<usize, KernelError> {
        Ok(ops::workspace_bytes(dst, dtype, &self.context))
    }

    fn available_bytes(&self) -> Option<usize> {
        match self.context.device {
            Device::Cpu => proc::available_bytes(),
            Device::Cuda(_) => {
                Some(usize::try_from(self.context.gpu.as_ref()?.available_bytes().ok()?).unwrap_or(usize::MAX))
            }
        }
    }

    fn is_apart(&self) -> bool {
        self.context.gpu.is_some()
    }

    fn synchronize(&self) -> Result<(), KernelError> {
        self.context.gpu.as_ref().map_or(Ok(()), Gpu::synchronize).map_err(gpu::failed)
    }

    fn device_memory(&self) -> Option<DeviceMemory> {
        let Memory { allocated, max_allocated, cached, max_cached, .. } = self.context.gpu.as_ref()?.memory().ok()?;
        Some(DeviceMemory { allocated, max_allocated, cached, max_cached })
    }

    fn allocate(&mut self, bytes: usize) -> Result<ArenaId, KernelError> {
        self.context.allocate(bytes)
    }

    fn allocate_host(&mut self, bytes: usize) -> Result<ArenaId, KernelError> {
        self.context.allocate_host(bytes)
    }

    fn reserve(&mut self, arena: ArenaId, bytes: usize) -> Result<(), KernelError> {
        self.context.reserve(arena, bytes)
    }

    fn write(&mut self, region: Region, bytes: &[u8]) -> Result<(), KernelError> {
        check_length("write, in bytes", region.bytes, bytes.len())?;
        let address = self.context.address(&region)?;
        if let (false, Some(gpu)) = (self.context.arena(region.arena)?.is_host, &mut self.context.gpu) {
            // SAFETY: the region lies in its arena, which is the GPU's memory, and is as long as
            // the bytes.
            unsafe { gpu.write(address, bytes) }.map_err(gpu::failed)?;
            return self.context.changed(region.arena);
        }
        let place = self.context.bytes(&region)?;
        let shape = Shape::new(&[bytes.len()]);
        // SAFETY: the view has the slice's length, and is only read.
        let source = unsafe { on_host(bytes.as_ptr().cast_mut(), DType::U8, shape) }?;
        place.copy_from(&source)?;
        self.context.changed(region.arena)
    }

    fn read(&self, region: Region, bytes: &mut [u8]) -> Result<(), KernelError> {
        check_length("read, in bytes", region.bytes, bytes.len())?;
        let place = self.context.bytes(&region)?;
        let shape = Shape::new(&[bytes.len()]);
        // SAFETY: the view has the slice's length.
        let target = unsafe { on_host(bytes.as_mut_ptr(), DType::U8, shape) }?;
        target.copy_from(&place)
    }

    fn start_read(&mut self, region: Region) -> Result<PendingRead, KernelError> {
        let address = self.context.address(&region)?;
        let Some(gpu) = &mut self.context.gpu else {
            let mut bytes = vec![0; region.bytes];
            self.read(region, &mut bytes)?;
            return Ok(PendingRead::Here(bytes));
        };
        // SAFETY: the region lies in its arena, which is the GPU's memory.
        let read = unsafe { gpu.start_read(address, region.bytes) }.map_err(gpu::failed)?;
        let number = self.next_read;
        self.next_read = number.wrapping_add(1);
        self.reads.insert(number, read);
        Ok(PendingRead::Numbered(number))
    }

    fn is_read(&self, read: &PendingRead) -> Result<bool, KernelError> {
        match (read, &self.context.gpu) {
            (PendingRead::Numbered(number), Some(gpu)) => {
                let read = self.reads.get(number).ok_or(KernelError::NoSuchRead(*number))?;
                gpu.is_read(read).map_err(gpu::failed)
            }
            _ => Ok(true),
        }
    }

    fn finish_read(&mut self, read: PendingRead) -> Result<Vec<u8>, KernelError> {
        match (read, &mut self.context.gpu) {
            (PendingRead::Here(bytes), _) => Ok(bytes),
            (PendingRead::Numbered(number), Some(gpu)) => {
                let read = self.reads.remove(&number).ok_or(KernelError::NoSuchRead(number))?;
                gpu.finish_read(read).map_err(gpu::failed)
            }
            (PendingRead::Numbered(number), None) => Err(KernelError::NoSuchRead(number)),
        }
    }

    fn convert(&mut self, from: (Region, DType), to: (Region, DType)) -> Result<(), KernelError> {
        let values = from.0.bytes / from.1.bytes();
        check_length("values to convert, in bytes", values * to.1.bytes(), to.0.bytes)?;
        let view = |(region, dtype): (Region, DType)| {
            self.context.elements(&region, Element::Of(dtype), Shape::new(&[values]), Format::Plain)
        };
        view(to)?.copy_from(&view(from)?)?;
        self.context.changed(to.0.arena)
    }

    fn memory_range(&mut self, region: Region) -> Result<MemoryRange, KernelError> {
        let address = self.context.address(&region)?;
        self.context.changed(region.arena)?;
        let device = match self.context.device {
            Device::Cpu => None,
            Device::Cuda(number) => Some(number),
        };
        // SAFETY: the region lies in its arena, as `address` has checked. The arena is memory of
        // the device, and does not move until it grows or is dropped with the provider. The CPU
        // touches it only in calls, and a GPU's operations and exchanges wait for each other.
        Ok(unsafe { MemoryRange::of_provider(address, region.bytes, device) })
    }

    fn import(&mut self, tensor: &Tensor, values: &[f32]) -> Result<(), KernelError> {
        check_length("import", tensor.shape.elements(), values.len())?;
        let place = self.context.view(tensor)?;
        // SAFETY: the view has the slice's length, and is only read.
        let source = unsafe { on_host(values.as_ptr().cast_mut(), DType::F32, tensor.shape) }?;
        place.copy_from(&source)?;
        self.context.changed(tensor.region.arena)
    }

    fn export(&self, tensor: &Tensor) -> Result<Vec<f32>, KernelError> {
        let place = self.context.view(tensor)?;
        let mut values = vec![0f32; tensor.shape.elements()];
        // SAFETY: the view has the vector's length.
        let target = unsafe { on_host(values.as_mut_ptr(), DType::F32, tensor.shape) }?;
        target.copy_from(&place)?;
        Ok(values)
    }

    fn compile(&mut self, ops: &[Op]) -> Result<ProgramId, KernelError> {
        for op in ops {
            op.check()?;
        }
        let program = Program::new(ops.to_vec(), &mut self.context)?;
        self.programs.push(Some(program));
        Ok(ProgramId(self.programs.len() as u32 - 1))
    }

    fn release(&mut self, program: ProgramId) {
        if let Some(place) = self.programs.get_mut(program.0 as usize) {
            *place = None;
        }
    }

    fn run(&mut self, program: ProgramId, ops: Range<usize>) -> Result<(), KernelError> {
        let held = self.programs.get_mut(program.0 as usize).and_then(Option::as_mut);
        let held = held.ok_or(KernelError::NoSuchProgram(program.0))?;
        if held.made_at != self.context.moves {
            *held = Program::new(std::mem::take(&mut held.ops), &mut self.context)?;
        }
        let (what, expected, got) = ("operations of a program", held.steps.len(), ops.end);
        let steps = held.steps.get(..ops.end).ok_or(KernelError::Length { what, expected, got })?;
        let mut next = ops.start;
        while next < ops.end {
            let (count, step) = match held.together.get(&next) {
                Some((count, step)) if next + count <= ops.end => (*count, step),
                _ => (1, &steps[next]),
            };
            step(&mut self.context)?;
            next += count;
        }
        Ok(())
    }

    fn is_finite(&self, region: Region) -> Result<bool, KernelError> {
        let values = self.context.floats(&region)?;
        let mut finite = false;
        // SAFETY: the view and the result's place live.
        check(unsafe { torch().is_finite(values.raw(), &mut finite) }, || "looking for overflows".to_owned())?;
        Ok(finite)
    }
}

impl Torch {
    /// The GPU's compute capability, as NVIDIA numbers it.
    fn capability(&self) -> (u32, u32) {
        self.context.gpu.as_ref().map_or((0, 0), Gpu::capability)
    }
}

/// Row-major values in this process's memory.
///
/// # Safety
/// `data` must be valid for the shape's elements as long as the view is used.
unsafe fn on_host<T>(data: *mut T, dtype: DType, shape: Shape) -> Result<View, KernelError> {
    let steps = strides(shape, Format::Plain);
    // SAFETY: by the caller's promise.
    unsafe { View::new(data.cast(), Element::Of(dtype), shape.extents(), &steps, Device::Cpu) }
}

fn check_length(what: &'static str, expected: usize, got: usize) -> Result<(), KernelError> {
    if expected == got { Ok(()) } else { Err(KernelError::Length { what, expected, got }) }
}

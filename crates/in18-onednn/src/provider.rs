//! The provider: arenas, compiled programs, and the implementation of [`Kernels`].

use std::ops::Range;

use in18_kernels::{KernelError, Kernels, Op, ProgramId};
use in18_system::proc;
use in18_tensor::{ArenaId, DType, MemoryRange, Region, Shape, Tensor};

use crate::arena::Arena;
use crate::context::WeightCopies;
use crate::context::{Block, Context};
use crate::integers;
use crate::isa::{self, Isa, Level};
use crate::layout::{Layout, plain};
use crate::ops;
use crate::safe::{self, Attributes, Call, Engine, MemoryDesc, PrimitiveDesc, Stream};
use crate::step::Step;
use crate::sys;
use crate::threads;

/// oneDNN on this machine's cores.
pub struct OneDnn {
    /// Programs by id. A released program leaves a gap, so that its id is never used again.
    /// Programs are dropped before the engine that they were made on.
    programs: Vec<Option<Compiled>>,
    context: Context,
}

/// Whether an implementation is one of our own or one of oneDNN's vectorised ones. `name` is a name
/// that [`OneDnn::implementations`] returns.
pub fn is_vectorised(name: &str) -> bool {
    name.starts_with("own:") || safe::is_vectorised(name)
}

/// A program: the steps of each operation.
type Compiled = Vec<Vec<Box<dyn Step>>>;

impl OneDnn {
    /// A provider on `threads` threads, or on as many as OpenMP uses by default. The number holds
    /// for the whole process, because there is one OpenMP runtime.
    ///
    /// # Errors
    /// As [`check_cpu`](Self::check_cpu); also if oneDNN does not start.
    pub fn new(threads: Option<usize>) -> Result<Self, KernelError> {
        let isa = Isa::detect()?;
        if let Some(threads) = threads {
            threads::set_threads(threads);
        }
        let engine = Engine::cpu()?;
        let context = Context {
            stream: Stream::new(&engine)?,
            engine,
            attributes: Attributes::user_scratchpad()?,
            isa,
            fast_pairs: isa::has_fast_pairs(isa),
            fixed_point: true,
            only_packed: false,
            describes_only: false,
            layout: Layout::detect(),
            arenas: Vec::new(),
            scratch: Arena::new(0)?,
            weights: WeightCopies::default(),
        };
        Ok(OneDnn { context, programs: Vec::new() })
    }

    /// Checks that this provider can compute on this machine's CPU.
    ///
    /// # Errors
    /// [`KernelError::Machine`] on a CPU without AVX2 and FMA, or if oneDNN is told not to use
    /// them.
    pub fn check_cpu() -> Result<(), KernelError> {
        Isa::detect().map(|_| ())
    }

    /// The same provider without 16-bit fixed point in evaluations. Everything but activations and
    /// their weights is then fp32. This is slower. It is closer to the exact results, but by less
    /// than bf16 activations can represent.
    pub fn without_fixed_point(mut self) -> Self {
        self.context.fixed_point = false;
        self
    }

    /// Sets whether bf16 pairs count as faster than fp32 numbers, whatever holds for this CPU. With
    /// this, tests reach the code for both cases. Pairs never count as fast without AVX-512 BF16.
    pub fn with_fast_pairs(mut self, are_fast: bool) -> Self {
        self.context.fast_pairs = are_fast && self.context.isa.level() == Level::Avx512Bf16;
        self
    }

    /// The same provider with all convolutions as products of packed matrices, which otherwise
    /// compute only the shapes that nothing faster covers. With this, tests reach those products
    /// with every shape.
    pub fn with_packed_convolutions(mut self) -> Self {
        self.context.only_packed = true;
        self
    }

    /// The names of the implementations of each operation's steps; [`Kernels::implementation`]
    /// joins these names. Nothing is prepared, and the operations' memory need not exist.
    pub fn implementations(&mut self, ops: &[Op]) -> Result<Vec<Vec<String>>, KernelError> {
        self.context.describes_only = true;
        let describe = |op: &Op| {
            op.check()?;
            Ok(names(&ops::compile(op, &mut self.context)?))
        };
        let described = ops.iter().map(describe).collect();
        self.context.describes_only = false;
        described
    }

    /// Copies between a tensor's own layout and row-major fp32. `from` and `to` say in which
    /// direction.
    ///
    /// # Safety
    /// Both addresses must be valid for the bytes of their descriptions, `to` for writes.
    unsafe fn reorder(&self, from: (&MemoryDesc, *mut u8), to: (&MemoryDesc, *mut u8)) -> Result<(), KernelError> {
        let context = &self.context;
        let desc = PrimitiveDesc::reorder(from.0, to.0, &context.engine, &context.attributes)?;
        let scratchpad = desc.operand(sys::QUERY_SCRATCHPAD)?;
        let scratch = Arena::new(scratchpad.bytes())?;
        let operands = [(sys::ARG_SRC, from.0), (sys::ARG_DST, to.0), (sys::ARG_SCRATCHPAD, &scratchpad)];
        let call = Call::new(&desc, &operands, &context.engine, "reorder")?;
        // SAFETY: by the caller's promise; the scratch memory was just made.
        unsafe { call.run(&context.stream, &[from.1, to.1, scratch.start()]) }
    }

    /// The description of a tensor that `import` and `export` can move. Checks it against the
    /// tensor's region.
    fn movable(&self, tensor: &Tensor) -> Result<MemoryDesc, KernelError> {
        let desc = self.context.layout.describe(tensor)?;
        if desc.bytes() > tensor.region.bytes {
            return Err(KernelError::OutOfBounds { region: tensor.region, size: desc.bytes() });
        }
        Ok(desc)
    }
}

impl Kernels for OneDnn {
    fn describe(&self) -> String {
        let (isa, threads) = (isa::name(isa::library_isa()), threads::max_threads());
        let plural = if threads == 1 { "" } else { "s" };
        format!("oneDNN {} on {isa}, {threads} thread{plural}", safe::version())
    }

    fn native(&self, dtype: DType) -> bool {
        match dtype {
            DType::F32 => true,
            DType::Bf16 => isa::includes(isa::library_isa(), sys::ISA_AVX512_CORE_BF16),
            DType::F16 | DType::U8 | DType::I32 => false,
        }
    }

    fn supports(&self, dtype: DType) -> bool {
        match dtype {
            DType::F32 => true,
            // With AVX-512, oneDNN emulates bf16. With less it does not.
            DType::Bf16 => isa::includes(isa::library_isa(), sys::ISA_AVX512_CORE),
            DType::F16 | DType::U8 | DType::I32 => false,
        }
    }

    fn activation_bytes(&self, shape: Shape, dtype: DType) -> usize {
        self.context.layout.activation_bytes(shape, dtype)
    }

    fn max_pool_workspace_bytes(&self, dst: Shape, _dtype: DType) -> Result<usize, KernelError> {
        // oneDNN stores the position in the window as one byte per output, in the layout of the
        // output.
        Ok(self.context.layout.activation_bytes(dst, DType::U8))
    }

    fn available_bytes(&self) -> Option<usize> {
        proc::available_bytes()
    }

    fn allocate(&mut self, bytes: usize) -> Result<ArenaId, KernelError> {
        let id = ArenaId(self.context.arenas.len() as u32);
        self.context.arenas.push(Block { arena: Arena::new(bytes)?, generation: 0 });
        Ok(id)
    }

    fn reserve(&mut self, arena: ArenaId, bytes: usize) -> Result<(), KernelError> {
        let block = self.context.block_mut(arena)?;
        if block.arena.bytes() < bytes {
            // Drop the old block first: both blocks together may not fit.
            block.arena = Arena::new(0)?;
            block.arena = Arena::new(bytes)?;
            block.generation += 1;
        }
        Ok(())
    }

    fn write(&mut self, region: Region, bytes: &[u8]) -> Result<(), KernelError> {
        check_length("write, in bytes", region.bytes, bytes.len())?;
        let address = self.context.address(&region)?;
        // SAFETY: the region lies in its arena and is as long as the slice. The slice is no part of
        // an arena.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), address, bytes.len()) };
        self.context.block_mut(region.arena)?.generation += 1;
        Ok(())
    }

    fn read(&self, region: Region, bytes: &mut [u8]) -> Result<(), KernelError> {
        check_length("read, in bytes", region.bytes, bytes.len())?;
        let address = self.context.address(&region)?;
        // SAFETY: as in `write`.
        unsafe { std::ptr::copy_nonoverlapping(address, bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    fn memory_range(&mut self, region: Region) -> Result<MemoryRange, KernelError> {
        let address = self.context.address(&region)?;
        self.context.block_mut(region.arena)?.generation += 1;
        // SAFETY: `address` has checked that the region lies in its arena. The arena stays where it
        // is until it is made larger, or dropped with the provider. The provider touches the arena
        // only during calls.
        Ok(unsafe { MemoryRange::of_provider(address, region.bytes, None) })
    }

    fn import(&mut self, tensor: &Tensor, values: &[f32]) -> Result<(), KernelError> {
        check_length("import", tensor.shape.elements(), values.len())?;
        if !matches!(tensor.dtype, DType::F32 | DType::Bf16) {
            let bytes = integers::to_bytes(tensor, values);
            return self.write(Region { bytes: bytes.len(), ..tensor.region }, &bytes);
        }
        let desc = self.movable(tensor)?;
        let rows = plain(tensor.shape.extents(), DType::F32)?;
        let address = self.context.address(&tensor.region)?;
        // SAFETY: `values` has as many elements as the shape and is only read; `movable` checked
        // the region.
        unsafe { self.reorder((&rows, values.as_ptr().cast_mut().cast()), (&desc, address))? };
        self.context.block_mut(tensor.region.arena)?.generation += 1;
        Ok(())
    }

    fn export(&self, tensor: &Tensor) -> Result<Vec<f32>, KernelError> {
        if !matches!(tensor.dtype, DType::F32 | DType::Bf16) {
            let mut bytes = vec![0; tensor.shape.elements() * tensor.dtype.bytes()];
            self.read(Region { bytes: bytes.len(), ..tensor.region }, &mut bytes)?;
            return Ok(integers::from_bytes(tensor, &bytes));
        }
        let desc = self.movable(tensor)?;
        let rows = plain(tensor.shape.extents(), DType::F32)?;
        let mut values = vec![0f32; tensor.shape.elements()];
        let address = self.context.address(&tensor.region)?;
        // SAFETY: as in `import`.
        unsafe { self.reorder((&desc, address), (&rows, values.as_mut_ptr().cast()))? };
        Ok(values)
    }

    fn compile(&mut self, ops: &[Op]) -> Result<ProgramId, KernelError> {
        let compile = |op: &Op| {
            op.check()?;
            for tensor in op.reads().iter().chain(&op.writes()) {
                self.context.operand(&tensor.region)?;
            }
            ops::compile(op, &mut self.context)
        };
        let steps = ops.iter().map(compile).collect::<Result<Vec<_>, KernelError>>()?;
        self.programs.push(Some(steps));
        Ok(ProgramId(self.programs.len() as u32 - 1))
    }

    fn compile_product(&mut self, side: usize, dtype: DType) -> Result<Option<ProgramId>, KernelError> {
        let step = ops::square_product(side, dtype, &mut self.context, |context, bytes| {
            let arena = ArenaId(context.arenas.len() as u32);
            let memory = Arena::new(bytes)?;
            // SAFETY: these are the arena's own bytes, which nobody else uses yet.
            let values = unsafe { std::slice::from_raw_parts_mut(memory.start(), bytes) };
            fill_random(dtype, values);
            context.arenas.push(Block { arena: memory, generation: 0 });
            Ok(Region { arena, offset: 0, bytes })
        })?;
        self.programs.push(Some(vec![vec![step]]));
        Ok(Some(ProgramId(self.programs.len() as u32 - 1)))
    }

    fn implementation(&self, program: ProgramId, op: usize) -> Option<String> {
        let steps = self.programs.get(program.0 as usize)?.as_ref()?.get(op)?;
        Some(names(steps).join(" + "))
    }

    fn release(&mut self, program: ProgramId) {
        if let Some(place) = self.programs.get_mut(program.0 as usize) {
            *place = None;
        }
    }

    fn run(&mut self, program: ProgramId, ops: Range<usize>) -> Result<(), KernelError> {
        let steps = self.programs.get(program.0 as usize).and_then(Option::as_ref);
        let steps = steps.ok_or(KernelError::NoSuchProgram(program.0))?;
        let (what, expected, got) = ("operations of a program", steps.len(), ops.end);
        let steps = steps.get(ops).ok_or(KernelError::Length { what, expected, got })?;
        for step in steps.iter().flatten() {
            step.run(&mut self.context)?;
        }
        Ok(())
    }
}

/// The names of steps' implementations.
fn names(steps: &[Box<dyn Step>]) -> Vec<String> {
    steps.iter().map(|step| step.implementation().to_owned()).collect()
}

/// Fills `bytes` with numbers of both signs between ½ and 1. A product of zeros, or of ever larger
/// numbers, would take a different time.
fn fill_random(dtype: DType, bytes: &mut [u8]) {
    let mut state = 1u32;
    for value in bytes.chunks_exact_mut(dtype.bytes()) {
        // Numerical Recipes' linear congruential generator; its upper bits are the random ones.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let number = f32::from_bits((state & 0x8000_0000) | 0x3f00_0000 | (state >> 8 & 0x007f_ffff));
        // bf16 is the upper half of fp32.
        value.copy_from_slice(&number.to_le_bytes()[4 - dtype.bytes()..]);
    }
}

fn check_length(what: &'static str, expected: usize, got: usize) -> Result<(), KernelError> {
    if expected == got { Ok(()) } else { Err(KernelError::Length { what, expected, got }) }
}

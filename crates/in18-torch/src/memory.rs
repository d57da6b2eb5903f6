//! The provider's memory: arenas of programs, scratch memory of operations, and tensors in both.

use in18_cuda::Gpu;
use in18_kernels::KernelError;
use in18_tensor::{ArenaId, DType, Format, Region, Shape, Tensor, align_up};

use crate::safe::{Device, Element, Memory, View};
use crate::sys::PROVIDER;

mod weights;

pub use weights::{CopyId, Ingredients, Norm, WeightCopies};

/// A program's arena.
pub struct Arena {
    memory: Memory,
    /// Rises whenever the arena's content changes, except by a program's results.
    pub generation: u64,
    /// Whether this is host memory, whatever the device.
    pub is_host: bool,
}

/// What every operation can access.
pub struct Context {
    /// The device that holds all of this.
    pub device: Device,
    arenas: Vec<Arena>,
    scratch: Memory,
    /// How often a block has moved. Views made before a move are invalid.
    pub moves: u64,
    /// Convolution weights in the type and layout of the activations.
    pub weights: WeightCopies,
    /// The GPU, if the device is one. The last field, so that it is dropped after all memory.
    pub gpu: Option<Gpu>,
}

impl Context {
    /// A context without arenas.
    pub fn new(device: Device, gpu: Option<Gpu>) -> Result<Self, KernelError> {
        let (scratch, weights) = (Memory::new(0, device)?, WeightCopies::default());
        Ok(Context { device, arenas: Vec::new(), scratch, moves: 0, weights, gpu })
    }

    /// A new arena of zeros.
    pub fn allocate(&mut self, bytes: usize) -> Result<ArenaId, KernelError> {
        let id = ArenaId(self.arenas.len() as u32);
        self.arenas.push(Arena { memory: Memory::new(bytes, self.device)?, generation: 0, is_host: false });
        Ok(id)
    }

    /// A new arena of zeros in the host's memory.
    pub fn allocate_host(&mut self, bytes: usize) -> Result<ArenaId, KernelError> {
        let id = ArenaId(self.arenas.len() as u32);
        self.arenas.push(Arena { memory: Memory::new(bytes, Device::Cpu)?, generation: 0, is_host: true });
        Ok(id)
    }

    /// Copies the present bytes of a region in host memory, without waiting for the device.
    pub fn read_host(&self, region: &Region, bytes: &mut [u8]) -> Result<(), KernelError> {
        let (what, address) = ("scalars in host memory, in bytes", self.address(region)?);
        if !self.arena(region.arena)?.is_host {
            let what = "read an operation's scalars from a device's memory".to_owned();
            return Err(KernelError::Unsupported {
                provider: PROVIDER,
                what,
                remedy: "this is an error of the caller",
            });
        }
        if region.bytes != bytes.len() {
            return Err(KernelError::Length { what, expected: bytes.len(), got: region.bytes });
        }
        // SAFETY: the region lies in its arena, which this process owns, and is as long as the
        // slice.
        unsafe { std::ptr::copy_nonoverlapping(address, bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    /// Makes an arena at least `bytes` long. If it grows, its content is lost.
    pub fn reserve(&mut self, id: ArenaId, bytes: usize) -> Result<(), KernelError> {
        let device = if self.arena(id)?.is_host { Device::Cpu } else { self.device };
        if self.arena(id)?.memory.bytes() < bytes {
            self.moves += 1;
            let arena = self.arena_mut(id)?;
            arena.generation += 1;
            // Free the old block first, because both together may not fit.
            arena.memory = Memory::new(0, device)?;
            arena.memory = Memory::new(bytes, device)?;
        }
        Ok(())
    }

    /// An arena.
    pub fn arena(&self, id: ArenaId) -> Result<&Arena, KernelError> {
        self.arenas.get(id.0 as usize).ok_or(KernelError::NoSuchArena(id))
    }

    /// An arena.
    pub fn arena_mut(&mut self, id: ArenaId) -> Result<&mut Arena, KernelError> {
        self.arenas.get_mut(id.0 as usize).ok_or(KernelError::NoSuchArena(id))
    }

    /// The address of a region, after a check that the region lies in its arena.
    pub fn address(&self, region: &Region) -> Result<*mut u8, KernelError> {
        let memory = &self.arena(region.arena)?.memory;
        match region.end() <= memory.bytes() {
            true => Ok(memory.address().wrapping_add(region.offset)),
            false => Err(KernelError::OutOfBounds { region: *region, size: memory.bytes() }),
        }
    }

    /// Notes that an arena's content has changed.
    pub fn changed(&mut self, id: ArenaId) -> Result<(), KernelError> {
        self.arena_mut(id)?.generation += 1;
        Ok(())
    }

    /// A tensor's view. The region must lie in its arena and hold the elements.
    pub fn view(&self, tensor: &Tensor) -> Result<View, KernelError> {
        self.elements(&tensor.region, Element::Of(tensor.dtype), tensor.shape, tensor.format)
    }

    /// A region as bytes.
    pub fn bytes(&self, region: &Region) -> Result<View, KernelError> {
        self.elements(region, Element::Of(DType::U8), Shape::new(&[region.bytes]), Format::Plain)
    }

    /// A region as a vector of fp32 values.
    pub fn floats(&self, region: &Region) -> Result<View, KernelError> {
        let values = Shape::new(&[region.bytes / DType::F32.bytes()]);
        self.elements(region, Element::Of(DType::F32), values, Format::Plain)
    }

    /// A region as elements of any type.
    pub fn elements(
        &self,
        region: &Region,
        element: Element,
        shape: Shape,
        format: Format,
    ) -> Result<View, KernelError> {
        let memory = &self.arena(region.arena)?.memory;
        if region.end() > memory.bytes() {
            return Err(KernelError::OutOfBounds { region: *region, size: memory.bytes() });
        }
        let needed = shape.elements() * element.bytes();
        if needed > region.bytes {
            let what = "an operand, in bytes";
            return Err(KernelError::Length { what, expected: needed, got: region.bytes });
        }
        memory.view(region.offset, element, shape.extents(), &strides(shape, format))
    }

    /// Space for temporary values of one operation, one after another. Other operations reuse it.
    pub fn scratch<const K: usize>(&mut self, values: [(Shape, DType, Format); K]) -> Result<[View; K], KernelError> {
        let mut offsets = [0; K];
        let mut end = 0;
        for (offset, (shape, dtype, _)) in offsets.iter_mut().zip(&values) {
            *offset = end;
            end += align_up(shape.elements() * dtype.bytes());
        }
        if self.scratch.bytes() < end {
            self.moves += 1;
            self.scratch = Memory::new(0, self.device)?;
            self.scratch = Memory::new(end, self.device)?;
        }
        let mut views = Vec::with_capacity(K);
        for (offset, (shape, dtype, format)) in offsets.into_iter().zip(values) {
            views.push(self.scratch.view(offset, Element::Of(dtype), shape.extents(), &strides(shape, format))?);
        }
        Ok(views.try_into().expect("a view for each of the values"))
    }
}

/// The strides of a tensor in elements, one for each extent.
pub fn strides(shape: Shape, format: Format) -> Vec<usize> {
    if let (Format::ChannelsLast | Format::Activation, &[_, c, h, w]) = (format, shape.extents()) {
        return vec![h * w * c, 1, w * c, c];
    }
    let mut strides = vec![1; shape.rank()];
    for axis in (1..shape.rank()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_follow_the_format() {
        let shape = Shape::nchw(2, 3, 5, 7);
        assert_eq!(strides(shape, Format::Plain), [105, 35, 7, 1]);
        assert_eq!(strides(shape, Format::ChannelsLast), [105, 1, 21, 3]);
        assert_eq!(strides(shape, Format::Activation), [105, 1, 21, 3]);
        assert_eq!(strides(Shape::new(&[4, 6]), Format::Plain), [6, 1]);
        assert_eq!(strides(Shape::new(&[4]), Format::Plain), [1]);
    }
}

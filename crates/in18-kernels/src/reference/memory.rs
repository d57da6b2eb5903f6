//! The arenas of the reference provider, and the only code that knows how a tensor's elements lie
//! in them.

use half::{bf16, f16};
use in18_tensor::{ArenaId, DType, Format, Region, Shape, Tensor, rounded};

use super::{MAX_POOL_INDEX_BYTES, same_length};
use crate::KernelError;

/// All memory of a provider.
#[derive(Default)]
pub(super) struct Memory {
    /// By [`ArenaId`].
    arenas: Vec<Vec<u8>>,
}

impl Memory {
    pub(super) fn allocate(&mut self, bytes: usize) -> Result<ArenaId, KernelError> {
        self.arenas.push(zeros(bytes)?);
        Ok(ArenaId(self.arenas.len() as u32 - 1))
    }

    pub(super) fn reserve(&mut self, arena: ArenaId, bytes: usize) -> Result<(), KernelError> {
        let held = self.arenas.get_mut(arena.0 as usize).ok_or(KernelError::NoSuchArena(arena))?;
        if held.len() < bytes {
            *held = zeros(bytes)?;
        }
        Ok(())
    }

    pub(super) fn bytes(&self, region: Region) -> Result<&[u8], KernelError> {
        let arena = self.arenas.get(region.arena.0 as usize).ok_or(KernelError::NoSuchArena(region.arena))?;
        let range = region.offset..region.end();
        arena.get(range).ok_or(KernelError::OutOfBounds { region, size: arena.len() })
    }

    pub(super) fn bytes_mut(&mut self, region: Region) -> Result<&mut [u8], KernelError> {
        let arena = self.arenas.get_mut(region.arena.0 as usize).ok_or(KernelError::NoSuchArena(region.arena))?;
        let size = arena.len();
        arena.get_mut(region.offset..region.end()).ok_or(KernelError::OutOfBounds { region, size })
    }

    /// The values of a tensor in the logical order of its shape.
    pub(super) fn load(&self, tensor: &Tensor) -> Result<Vec<f32>, KernelError> {
        let storage = Storage::of(tensor)?;
        let bytes = self.bytes(storage.region)?;
        let values = (0..tensor.shape.elements()).map(|logical| {
            let at = storage.position(logical) * storage.element.bytes();
            decode(storage.element, &bytes[at..])
        });
        Ok(values.collect())
    }

    /// Stores values given in the logical order of the tensor's shape; an activation in bf16 rounds
    /// them.
    pub(super) fn store(&mut self, tensor: &Tensor, values: &[f32]) -> Result<(), KernelError> {
        same_length("values of a tensor", tensor.shape.elements(), values.len())?;
        let storage = Storage::of(tensor)?;
        let bytes = self.bytes_mut(storage.region)?;
        for (logical, &value) in values.iter().enumerate() {
            let at = storage.position(logical) * storage.element.bytes();
            encode(storage.element, rounded(tensor.dtype, value), &mut bytes[at..]);
        }
        Ok(())
    }

    /// The weights of a convolution on activations of a type: rounded to it.
    pub(super) fn load_weight(&self, weight: &Tensor, activation: DType) -> Result<Vec<f32>, KernelError> {
        Ok(self.load(weight)?.into_iter().map(|value| rounded(activation, value)).collect())
    }

    /// The indices in a max pooling's workspace, for an output of `count` elements.
    pub(super) fn load_indices(&self, workspace: &Tensor, count: usize) -> Result<Vec<usize>, KernelError> {
        let bytes = self.bytes(Region { bytes: count * MAX_POOL_INDEX_BYTES, ..workspace.region })?;
        let indices = bytes.chunks_exact(MAX_POOL_INDEX_BYTES);
        Ok(indices.map(|index| u32::from_ne_bytes([index[0], index[1], index[2], index[3]]) as usize).collect())
    }

    /// The inverse of [`load_indices`](Memory::load_indices).
    pub(super) fn store_indices(&mut self, workspace: &Tensor, indices: &[usize]) -> Result<(), KernelError> {
        let region = Region { bytes: indices.len() * MAX_POOL_INDEX_BYTES, ..workspace.region };
        for (bytes, &index) in self.bytes_mut(region)?.chunks_exact_mut(MAX_POOL_INDEX_BYTES).zip(indices) {
            bytes.copy_from_slice(&(index as u32).to_ne_bytes());
        }
        Ok(())
    }
}

/// How a tensor's elements lie in memory.
struct Storage {
    /// Exactly the bytes of the elements.
    region: Region,
    /// The type that memory holds, which for an activation is not the tensor's own.
    element: DType,
    shape: Shape,
    channels_last: bool,
}

impl Storage {
    fn of(tensor: &Tensor) -> Result<Self, KernelError> {
        let element = match (tensor.format, tensor.dtype) {
            (Format::Activation, dtype) if dtype.is_float() => DType::F32,
            (Format::Activation, dtype) => return Err(misuse("a float in an activation", dtype.to_string())),
            (Format::Plain | Format::ChannelsLast, dtype) => dtype,
        };
        let channels_last = tensor.format == Format::ChannelsLast;
        if channels_last && tensor.shape.rank() != 4 {
            return Err(misuse("(N, C, H, W) if its channels are last", tensor.shape.to_string()));
        }
        let bytes = tensor.shape.elements() * element.bytes();
        if bytes > tensor.region.bytes {
            let expected = format!("given a region of {bytes} bytes for {} of {element}", tensor.shape);
            return Err(misuse(&expected, format!("{} bytes", tensor.region.bytes)));
        }
        Ok(Storage { region: Region { bytes, ..tensor.region }, element, shape: tensor.shape, channels_last })
    }

    /// Where in memory the element with this row-major logical index is, in elements.
    fn position(&self, logical: usize) -> usize {
        if !self.channels_last {
            return logical;
        }
        let (channels, pixels) = (self.shape[1], self.shape[2] * self.shape[3]);
        let (image, channel, pixel) = (logical / pixels / channels, logical / pixels % channels, logical % pixels);
        (image * pixels + pixel) * channels + channel
    }
}

fn misuse(expected: &str, got: String) -> KernelError {
    KernelError::Operand { operation: "memory", operand: "a tensor", expected: expected.to_owned(), got }
}

fn decode(dtype: DType, bytes: &[u8]) -> f32 {
    match dtype {
        DType::F32 => f32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
        DType::I32 => i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as f32,
        DType::Bf16 => bf16::from_ne_bytes([bytes[0], bytes[1]]).to_f32(),
        DType::F16 => f16::from_ne_bytes([bytes[0], bytes[1]]).to_f32(),
        DType::U8 => f32::from(bytes[0]),
    }
}

fn encode(dtype: DType, value: f32, bytes: &mut [u8]) {
    match dtype {
        DType::F32 => bytes[..4].copy_from_slice(&value.to_ne_bytes()),
        DType::I32 => bytes[..4].copy_from_slice(&(value as i32).to_ne_bytes()),
        DType::Bf16 => bytes[..2].copy_from_slice(&bf16::from_f32(value).to_ne_bytes()),
        DType::F16 => bytes[..2].copy_from_slice(&f16::from_f32(value).to_ne_bytes()),
        DType::U8 => bytes[0] = value as u8,
    }
}

fn zeros(bytes: usize) -> Result<Vec<u8>, KernelError> {
    let mut arena = Vec::new();
    let got = arena.try_reserve_exact(bytes);
    got.map_err(|_| KernelError::OutOfMemory { provider: "reference", bytes })?;
    arena.resize(bytes, 0);
    Ok(arena)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(arena: ArenaId, shape: &[usize], dtype: DType, format: Format) -> Tensor {
        Tensor { region: Region { arena, offset: 64, bytes: 64 }, shape: Shape::new(shape), dtype, format }
    }

    #[test]
    fn values_come_back_as_their_type_holds_them() {
        struct Case {
            name: &'static str,
            dtype: DType,
            format: Format,
            given: [f32; 6],
            expected: [f32; 6],
        }
        let fine = 1.0 + 1.0 / 1024.0; // more than bf16 can hold
        let cases = [
            Case {
                name: "fp32",
                dtype: DType::F32,
                format: Format::Plain,
                given: [fine, -2.0, 0.5, 3.0, 1e9, 0.0],
                expected: [fine, -2.0, 0.5, 3.0, 1e9, 0.0],
            },
            Case {
                name: "labels",
                dtype: DType::I32,
                format: Format::Plain,
                given: [0.0, 999.0, -1.0, 3.0, 4.0, 5.0],
                expected: [0.0, 999.0, -1.0, 3.0, 4.0, 5.0],
            },
            Case {
                name: "pixels",
                dtype: DType::U8,
                format: Format::ChannelsLast,
                given: [0.0, 255.0, 1.0, 2.0, 3.0, 4.0],
                expected: [0.0, 255.0, 1.0, 2.0, 3.0, 4.0],
            },
            Case {
                name: "bf16 activation",
                dtype: DType::Bf16,
                format: Format::Activation,
                given: [fine, -2.0, 0.5, -fine, 1.0, 0.0],
                expected: [1.0, -2.0, 0.5, -1.0, 1.0, 0.0],
            },
            Case {
                name: "bf16, plain",
                dtype: DType::Bf16,
                format: Format::Plain,
                given: [fine, -2.0, 0.5, -fine, 1.0, 0.0],
                expected: [1.0, -2.0, 0.5, -1.0, 1.0, 0.0],
            },
        ];
        for case in cases {
            let mut memory = Memory::default();
            let arena = memory.allocate(128).unwrap();
            let tensor = tensor(arena, &[1, 3, 1, 2], case.dtype, case.format);
            memory.store(&tensor, &case.given).unwrap();
            assert_eq!(memory.load(&tensor).unwrap(), case.expected, "{}", case.name);
        }
    }

    #[test]
    fn channels_last_bytes_are_interleaved() {
        let mut memory = Memory::default();
        let arena = memory.allocate(128).unwrap();
        let pixels = tensor(arena, &[1, 3, 1, 2], DType::U8, Format::ChannelsLast);
        memory.store(&pixels, &[1.0, 2.0, 10.0, 20.0, 100.0, 200.0]).unwrap();
        let bytes = memory.bytes(Region { bytes: 6, ..pixels.region }).unwrap();
        assert_eq!(bytes, [1, 10, 100, 2, 20, 200]);
    }

    #[test]
    fn bad_regions_and_lengths_are_errors() {
        let mut memory = Memory::default();
        let arena = memory.allocate(128).unwrap();
        let good = tensor(arena, &[4], DType::F32, Format::Plain);
        let beyond = Tensor { region: Region { offset: 120, ..good.region }, ..good };
        let overflowing = Tensor { region: Region { arena, offset: usize::MAX, bytes: 16 }, ..good };
        let elsewhere = Tensor { region: Region { arena: ArenaId(7), ..good.region }, ..good };
        let small = Tensor { region: Region { bytes: 15, ..good.region }, ..good };
        let values = [0.0; 4];
        assert!(matches!(memory.store(&beyond, &values), Err(KernelError::OutOfBounds { size: 128, .. })));
        assert!(matches!(memory.load(&overflowing), Err(KernelError::OutOfBounds { .. })));
        assert!(matches!(memory.load(&elsewhere), Err(KernelError::NoSuchArena(ArenaId(7)))));
        assert!(matches!(memory.load(&small), Err(KernelError::Operand { .. })));
        let got = memory.store(&good, &[0.0; 3]);
        assert!(matches!(got, Err(KernelError::Length { expected: 4, got: 3, .. })));
        assert!(matches!(memory.allocate(usize::MAX), Err(KernelError::OutOfMemory { .. })));
    }
}

//! What the trait's memory and program calls must do, whatever is computed.

use in18_tensor::{ArenaId, DType, Format, Region, Shape, Tensor};

use super::Failure;
use crate::op::Add;
use crate::{KernelError, Kernels, Op, ProgramId};

/// How many cases [`check`] runs.
pub(super) const CASES: usize = TABLE.len();

type Check = fn(&mut dyn Kernels) -> Result<bool, KernelError>;

/// Each function says whether the claim beside it holds.
const TABLE: &[(&str, Check)] = &[
    ("a new arena is filled with zeros", |provider| {
        let arena = provider.allocate(256)?;
        Ok(read(provider, arena, 0, 256)? == [0; 256])
    }),
    ("bytes are read as they were written, others are left alone", |provider| {
        let arena = provider.allocate(256)?;
        let bytes: Vec<u8> = (1..=100).collect();
        provider.write(Region { arena, offset: 64, bytes: 100 }, &bytes)?;
        Ok(read(provider, arena, 64, 100)? == bytes
            && read(provider, arena, 0, 64)? == [0; 64]
            && read(provider, arena, 164, 92)? == [0; 92])
    }),
    ("reserving less than there is keeps the content", |provider| {
        let arena = provider.allocate(256)?;
        provider.write(Region { arena, offset: 0, bytes: 4 }, &[1, 2, 3, 4])?;
        provider.reserve(arena, 128)?;
        Ok(read(provider, arena, 0, 4)? == [1, 2, 3, 4] && read(provider, arena, 128, 128)? == [0; 128])
    }),
    ("reserving more makes room, filled with zeros, under the same id", |provider| {
        let arena = provider.allocate(64)?;
        provider.write(Region { arena, offset: 0, bytes: 4 }, &[1, 2, 3, 4])?;
        provider.reserve(arena, 4096)?;
        Ok(read(provider, arena, 0, 4096)? == [0; 4096])
    }),
    ("a compiled program follows an arena that grows", |provider| {
        let arena = provider.allocate(64)?;
        let shape = Shape::nchw(1, 16, 1, 1);
        let bytes = provider.activation_bytes(shape, DType::F32);
        let tensor = |slot: usize| {
            let region = Region { arena, offset: slot * in18_tensor::align_up(bytes), bytes };
            Tensor { region, shape, dtype: DType::F32, format: Format::Activation }
        };
        let [a, b, dst] = [tensor(0), tensor(1), tensor(2)];
        provider.reserve(arena, dst.region.end())?;
        let program = provider.compile(&[Op::from(Add { a, b, dst })])?;
        provider.reserve(arena, 1 << 20)?;
        provider.import(&a, &[1.0; 16])?;
        provider.import(&b, &[2.0; 16])?;
        provider.run(program, 0..1)?;
        let sums = provider.export(&dst)?;
        provider.release(program);
        Ok(sums == [3.0; 16])
    }),
    ("one value that is no finite number is found among many", |provider| {
        let arena = provider.allocate(4 << 20)?;
        let all = Region { arena, offset: 0, bytes: 4 << 20 };
        let mut answers = vec![provider.is_finite(all)?];
        for (value, offset) in [(f32::NAN, (4 << 20) - 4), (f32::NEG_INFINITY, 0), (f32::INFINITY, 2 << 20)] {
            let place = Region { arena, offset, bytes: 4 };
            provider.write(place, &value.to_ne_bytes())?;
            answers.push(!provider.is_finite(all)?);
            provider.write(place, &f32::MAX.to_ne_bytes())?;
        }
        answers.push(provider.is_finite(all)?);
        Ok(answers == [true; 5])
    }),
    ("a region beyond its arena is refused", |provider| {
        let arena = provider.allocate(128)?;
        let region = Region { arena, offset: 64, bytes: 128 };
        Ok(provider.write(region, &[0; 128]).is_err() && provider.read(region, &mut [0; 128]).is_err())
    }),
    ("an unknown arena is refused", |provider| {
        let arena = ArenaId(u32::MAX);
        let region = Region { arena, offset: 0, bytes: 1 };
        Ok(provider.reserve(arena, 1).is_err()
            && provider.write(region, &[0]).is_err()
            && provider.read(region, &mut [0]).is_err())
    }),
    ("a slice of another length is refused", |provider| {
        let arena = provider.allocate(128)?;
        let region = Region { arena, offset: 0, bytes: 64 };
        let tensor = Tensor { region, shape: Shape::new(&[16]), dtype: DType::F32, format: Format::Plain };
        Ok(provider.write(region, &[0; 63]).is_err()
            && provider.read(region, &mut [0; 65]).is_err()
            && provider.import(&tensor, &[0.0; 15]).is_err())
    }),
    ("an unknown or released program is refused, a range beyond the program too", |provider| {
        let program = provider.compile(&[])?;
        let empty = provider.run(program, 0..0).is_ok();
        let beyond = provider.run(program, 0..1).is_err();
        provider.release(program);
        let released = provider.run(program, 0..0).is_err();
        Ok(empty && beyond && released && provider.run(ProgramId(u32::MAX), 0..0).is_err())
    }),
];

/// Runs all of them.
pub(super) fn check(provider: &mut dyn Kernels) -> Vec<Failure> {
    let failed = TABLE.iter().filter_map(|(case, check)| {
        let what = match check(provider) {
            Ok(true) => return None,
            Ok(false) => "does not hold".to_owned(),
            Err(error) => error.to_string(),
        };
        Some(Failure { case: (*case).to_owned(), operand: "memory", what })
    });
    failed.collect()
}

fn read(provider: &dyn Kernels, arena: ArenaId, offset: usize, bytes: usize) -> Result<Vec<u8>, KernelError> {
    let mut content = vec![POISON; bytes];
    provider.read(Region { arena, offset, bytes }, &mut content)?;
    Ok(content)
}

/// Fills buffers before a call, so that a call that reads nothing shows.
const POISON: u8 = 0xaa;

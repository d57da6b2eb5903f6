//! Operations that filter or pool each channel of an image by itself, as loops over rows of
//! results. A kind of operation says how one row is computed; this module gives the rows to the
//! threads.

use std::marker::PhantomData;
use std::ops::Range;

use in18_kernels::KernelError;
use in18_tensor::{DType, Tensor};

use super::{Steps, check};
use crate::context::Context;
use crate::safe::PROVIDER;
use crate::simd::{Kernel, Stored, Vector, fence, is_large, run};
use crate::step::{LoopStep, Step};
use crate::threads::{Shared, parallel, part};
use crate::vector::Bf16;

/// One row of results: of one block's channels in one image.
#[derive(Clone, Copy)]
pub struct Row<E> {
    /// The first pixel of the source's plane, of `from_extent` (H, W) pixels.
    from: *const E,
    pub from_extent: [usize; 2],
    /// The first pixel of the row in the result's plane, of `to_extent` (H, W) pixels.
    to: *mut E,
    pub to_extent: [usize; 2],
    /// The result's row.
    pub y: usize,
    /// Whether the results are stored past the caches.
    is_large: bool,
}

impl<E: Stored> Row<E> {
    /// The address of a pixel of the source's row `y`.
    ///
    /// # Safety
    /// The row must be in the plane.
    #[inline(always)]
    pub unsafe fn source(&self, y: usize, lanes: usize) -> *const E {
        // SAFETY: by the caller's promise.
        unsafe { self.from.add(y * self.from_extent[1] * lanes) }
    }

    /// Stores the result at `x`.
    ///
    /// # Safety
    /// `x` must be below the width of `to_extent`; as [`Vector`].
    #[inline(always)]
    pub unsafe fn put<V: Vector>(&self, x: usize, value: V) {
        // SAFETY: by the caller's promise.
        unsafe {
            let to = self.to.add(x * V::LANES);
            if self.is_large { E::stream(value, to) } else { E::store(value, to) }
        }
    }
}

/// How a row of results comes from the source.
pub trait Rows: 'static {
    /// The name of the steps.
    const STEP: &'static str;
    /// The name of the operation, for errors.
    const OPERATION: &'static str;

    /// Computes a row.
    ///
    /// # Safety
    /// The pointers of `row` must be valid for what its extents say, which must fit together; as
    /// [`Vector`].
    unsafe fn compute<E: Stored, V: Vector>(row: Row<E>);
}

/// Rows `first..last` of the results. All planes' rows are numbered together.
struct Part<R, E> {
    from: *const E,
    from_extent: [usize; 2],
    to: *mut E,
    to_extent: [usize; 2],
    rows: Range<usize>,
    is_large: bool,
    kind: PhantomData<R>,
}

impl<R: Rows, E: Stored> Kernel for Part<R, E> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Part { from_extent, to_extent, is_large, .. } = self;
        let [height, width] = to_extent;
        let plane = from_extent[0] * from_extent[1] * V::LANES;
        for index in self.rows {
            // SAFETY: by the caller's promise the row lies in both tensors.
            unsafe {
                let from = self.from.add(index / height * plane);
                let to = self.to.add(index * width * V::LANES);
                R::compute::<E, V>(Row { from, from_extent, to, to_extent, y: index % height, is_large });
            }
        }
    }
}

/// The steps of an operation on activations of one type. The caller has checked that their extents
/// fit together.
pub fn steps<R: Rows>(from: &Tensor, to: &Tensor, context: &Context) -> Steps {
    for tensor in [from, to] {
        check(context, &[(tensor, tensor.dtype)])?;
        let expected = context.layout.activation_bytes(tensor.shape, tensor.dtype);
        if tensor.region.bytes < expected {
            let what = "an operand of a filter or pooling, in bytes";
            return Err(KernelError::Length { what, expected, got: tensor.region.bytes });
        }
    }
    match to.dtype {
        DType::F32 => Ok(vec![step::<R, f32>(*from, *to, context)]),
        DType::Bf16 => Ok(vec![step::<R, Bf16>(*from, *to, context)]),
        DType::F16 | DType::U8 | DType::I32 => Err(KernelError::Unsupported {
            provider: PROVIDER,
            what: format!("{} of {}", R::OPERATION, to.dtype),
            remedy: "this is an error of the caller",
        }),
    }
}

fn step<R: Rows, E: Stored>(from: Tensor, to: Tensor, context: &Context) -> Box<dyn Step> {
    let channels = to.shape[1];
    // A row-major activation has one plane per channel.
    let lanes = if context.layout.is_blocked(channels) { context.layout.block } else { 1 };
    let planes = to.shape[0] * channels.div_ceil(lanes);
    let extent = |tensor: &Tensor| [tensor.shape[2], tensor.shape[3]];
    let (from_extent, to_extent) = (extent(&from), extent(&to));
    let is_large = is_large(to.region.bytes);
    Box::new(LoopStep(R::STEP, move |context: &mut Context| {
        let source = Shared::<E>::new(context.address(&from.region)?);
        let target = Shared::<E>::new(context.address(&to.region)?);
        let isa = context.isa;
        parallel(|thread, threads| {
            let rows = part(planes * to_extent[0], 1, thread, threads);
            // SAFETY: `Op::check` compared the extents with each other, and `steps` compared both
            // regions with the shapes. Every row of results belongs to one thread. A plane begins
            // at a multiple of a vector.
            unsafe {
                let (from, to, kind) = (source.at(0).cast_const(), target.at(0), PhantomData::<R>);
                run(isa, lanes, Part { from, from_extent, to, to_extent, rows, is_large, kind });
            }
            fence();
        });
        Ok(())
    }))
}

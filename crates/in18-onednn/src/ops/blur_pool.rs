//! BlurPool, by loops of our own: the filter is separable, and one pass over memory does both axes.
//!
//! The filter of stride 1 is symmetric, and so is the zero padding. Its gradient is therefore the
//! same filter, applied to the gradient of its result.

use in18_kernels::KernelError;
use in18_kernels::op::{BlurPool, BlurPoolBackward};
use in18_tensor::{DType, Tensor};

use super::{Compile, Steps, check};
use crate::context::Context;
use crate::safe::PROVIDER;
use crate::simd::{Kernel, Stored, Vector, fence, is_large, run};
use crate::step::{LoopStep, Step};
use crate::threads::{Shared, parallel, part};
use crate::vector::Bf16;

/// The share of a result that each unit of the taps `[1 2 1] ⊗ [1 2 1]` has.
const SHARE: f32 = 1.0 / 16.0;

impl Compile for BlurPool {
    fn compile(&self, context: &mut Context) -> Steps {
        match self.stride {
            1 => steps::<Filter<1>>(&self.src, &self.dst, context),
            _ => steps::<Filter<2>>(&self.src, &self.dst, context),
        }
    }
}

impl Compile for BlurPoolBackward {
    fn compile(&self, context: &mut Context) -> Steps {
        match self.stride {
            1 => steps::<Filter<1>>(&self.ddst, &self.dsrc, context),
            _ => steps::<Spread>(&self.ddst, &self.dsrc, context),
        }
    }
}

/// One row of results: of one block's channels in one image.
#[derive(Clone, Copy)]
struct Row<E> {
    /// The first pixel of the source's plane, of `from_extent` (H, W) pixels.
    from: *const E,
    from_extent: [usize; 2],
    /// The first pixel of the result's row, which holds `to_width` pixels.
    to: *mut E,
    to_width: usize,
    /// The result's row.
    y: usize,
    /// Whether the results are stored past the caches.
    is_large: bool,
}

impl<E: Stored> Row<E> {
    /// The address of a pixel of the source's row `y`.
    ///
    /// # Safety
    /// The row must be in the plane.
    #[inline(always)]
    unsafe fn source(&self, y: usize, lanes: usize) -> *const E {
        // SAFETY: by the caller's promise.
        unsafe { self.from.add(y * self.from_extent[1] * lanes) }
    }

    /// Stores the result at `x`.
    ///
    /// # Safety
    /// `x` must be below `to_width`; as [`Vector`].
    #[inline(always)]
    unsafe fn put<V: Vector>(&self, x: usize, value: V) {
        // SAFETY: by the caller's promise.
        unsafe {
            let (value, to) = (value.mul(V::splat(SHARE)), self.to.add(x * V::LANES));
            if self.is_large { E::stream(value, to) } else { E::store(value, to) }
        }
    }
}

/// How a row of results comes from the source.
trait Rows: 'static {
    /// Computes a row.
    ///
    /// # Safety
    /// The pointers of `row` must be valid for what its extents say, which must fit together; as
    /// [`Vector`].
    unsafe fn compute<E: Stored, V: Vector>(row: Row<E>);
}

/// A sum of up to three pixels of a column: twice the pixel at `at`, and those of the rows above and
/// below. Rows lie `pitch` elements apart.
///
/// # Safety
/// All named pixels must be in memory; as [`Vector`].
#[inline(always)]
unsafe fn column<E: Stored, V: Vector, const ABOVE: bool, const BELOW: bool>(at: *const E, pitch: usize) -> V {
    // SAFETY: by the caller's promise.
    unsafe {
        let here = E::load::<V>(at);
        let mut sum = here.add(here);
        if ABOVE {
            sum = sum.add(E::load::<V>(at.sub(pitch)));
        }
        if BELOW {
            sum = sum.add(E::load::<V>(at.add(pitch)));
        }
        sum
    }
}

/// The filter with a stride.
struct Filter<const STRIDE: usize>;

impl<const STRIDE: usize> Filter<STRIDE> {
    /// A row whose source has a row above, a row below, or both.
    ///
    /// # Safety
    /// As [`Rows::compute`].
    #[inline(always)]
    unsafe fn row<E: Stored, V: Vector, const ABOVE: bool, const BELOW: bool>(row: Row<E>) {
        let (width, pitch) = (row.from_extent[1], row.from_extent[1] * V::LANES);
        // SAFETY: by the caller's promise; columns are below `width`.
        unsafe {
            let from = row.source(row.y * STRIDE, V::LANES);
            // The columns at STRIDE · x − 1 and STRIDE · x, then x + 1 and so on.
            let mut left = V::splat(0.0);
            let mut here = column::<E, V, ABOVE, BELOW>(from, pitch);
            // All results but the last have a column to their right.
            let inner = (width - 1).div_ceil(STRIDE).min(row.to_width - 1);
            for x in 0..inner {
                let right = column::<E, V, ABOVE, BELOW>(from.add((STRIDE * x + 1) * V::LANES), pitch);
                row.put(x, left.add(here.add(here)).add(right));
                (left, here) = match STRIDE {
                    1 => (here, right),
                    _ => (right, column::<E, V, ABOVE, BELOW>(from.add(STRIDE * (x + 1) * V::LANES), pitch)),
                };
            }
            let mut sum = left.add(here.add(here));
            if STRIDE * inner + 1 < width {
                sum = sum.add(column::<E, V, ABOVE, BELOW>(from.add((STRIDE * inner + 1) * V::LANES), pitch));
            }
            row.put(inner, sum);
        }
    }
}

impl<const STRIDE: usize> Rows for Filter<STRIDE> {
    #[inline(always)]
    unsafe fn compute<E: Stored, V: Vector>(row: Row<E>) {
        let y = row.y * STRIDE;
        // SAFETY: by the caller's promise; the source has the rows that the flags name.
        unsafe {
            match (y > 0, y + 1 < row.from_extent[0]) {
                (true, true) => Self::row::<E, V, true, true>(row),
                (true, false) => Self::row::<E, V, true, false>(row),
                (false, true) => Self::row::<E, V, false, true>(row),
                (false, false) => Self::row::<E, V, false, false>(row),
            }
        }
    }
}

/// The gradient of the filter of stride 2. A kept pixel's gradient goes to the pixels under the
/// filter: a pixel in an even row and column gets one kept pixel's, any other the sum of two or
/// four.
struct Spread;

/// A sum of gradients in a column, for a row of results: of twice the gradient in an even row; in an
/// odd row, of the gradients above and below it.
///
/// # Safety
/// As [`column`].
#[inline(always)]
unsafe fn spread_column<E: Stored, V: Vector, const ODD: bool, const BELOW: bool>(at: *const E, pitch: usize) -> V {
    // SAFETY: by the caller's promise.
    unsafe {
        let here = E::load::<V>(at);
        match (ODD, BELOW) {
            (false, _) => here.add(here),
            (true, true) => here.add(E::load::<V>(at.add(pitch))),
            (true, false) => here,
        }
    }
}

impl Spread {
    /// A row of results.
    ///
    /// # Safety
    /// As [`Rows::compute`].
    #[inline(always)]
    unsafe fn row<E: Stored, V: Vector, const ODD: bool, const BELOW: bool>(row: Row<E>) {
        let (width, pitch) = (row.from_extent[1], row.from_extent[1] * V::LANES);
        // SAFETY: by the caller's promise; columns are below `width`.
        unsafe {
            let from = row.source(row.y / 2, V::LANES);
            let mut here = spread_column::<E, V, ODD, BELOW>(from, pitch);
            for x in 1..width {
                let right = spread_column::<E, V, ODD, BELOW>(from.add(x * V::LANES), pitch);
                row.put(2 * x - 2, here.add(here));
                row.put(2 * x - 1, here.add(right));
                here = right;
            }
            row.put(2 * width - 2, here.add(here));
            if row.to_width == 2 * width {
                row.put(2 * width - 1, here);
            }
        }
    }
}

impl Rows for Spread {
    #[inline(always)]
    unsafe fn compute<E: Stored, V: Vector>(row: Row<E>) {
        // SAFETY: by the caller's promise; the source has the row that the flag names.
        unsafe {
            match (row.y % 2 == 1, row.y / 2 + 1 < row.from_extent[0]) {
                (false, _) => Self::row::<E, V, false, false>(row),
                (true, true) => Self::row::<E, V, true, true>(row),
                (true, false) => Self::row::<E, V, true, false>(row),
            }
        }
    }
}

/// Rows `first..last` of the results. All planes' rows are numbered together.
struct Part<R, E> {
    from: *const E,
    from_extent: [usize; 2],
    to: *mut E,
    to_extent: [usize; 2],
    rows: std::ops::Range<usize>,
    is_large: bool,
    kind: std::marker::PhantomData<R>,
}

impl<R: Rows, E: Stored> Kernel for Part<R, E> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Part { from_extent, to_extent: [height, to_width], is_large, .. } = self;
        let plane = from_extent[0] * from_extent[1] * V::LANES;
        for index in self.rows {
            // SAFETY: by the caller's promise the row lies in both tensors.
            unsafe {
                let from = self.from.add(index / height * plane);
                let to = self.to.add(index * to_width * V::LANES);
                R::compute::<E, V>(Row { from, from_extent, to, to_width, y: index % height, is_large });
            }
        }
    }
}

fn steps<R: Rows>(from: &Tensor, to: &Tensor, context: &Context) -> Steps {
    for tensor in [from, to] {
        check(context, &[(tensor, tensor.dtype)])?;
        let expected = context.layout.activation_bytes(tensor.shape, tensor.dtype);
        if tensor.region.bytes < expected {
            let what = "an operand of BlurPool, in bytes";
            return Err(KernelError::Length { what, expected, got: tensor.region.bytes });
        }
    }
    match to.dtype {
        DType::F32 => Ok(vec![step::<R, f32>(*from, *to, context)]),
        DType::Bf16 => Ok(vec![step::<R, Bf16>(*from, *to, context)]),
        DType::F16 | DType::U8 | DType::I32 => Err(KernelError::Unsupported {
            provider: PROVIDER,
            what: format!("BlurPool of {}", to.dtype),
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
    Box::new(LoopStep("own:blur", move |context: &mut Context| {
        let source = Shared::<E>::new(context.address(&from.region)?);
        let target = Shared::<E>::new(context.address(&to.region)?);
        let isa = context.isa;
        parallel(|thread, threads| {
            let rows = part(planes * to_extent[0], 1, thread, threads);
            // SAFETY: `Op::check` compared the extents with each other, and `steps` compared both
            // regions with the shapes. Every row of results belongs to one thread. A plane begins
            // at a multiple of a vector.
            unsafe {
                let (from, to, kind) = (source.at(0).cast_const(), target.at(0), std::marker::PhantomData::<R>);
                run(isa, lanes, Part { from, from_extent, to, to_extent, rows, is_large, kind });
            }
            fence();
        });
        Ok(())
    }))
}

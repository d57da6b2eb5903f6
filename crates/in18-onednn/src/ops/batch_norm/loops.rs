//! The loops of batch normalisation. Each handles one image's pixels of a block of channels, which
//! lie side by side.

use crate::simd::{Kernel, Lanes, MOST_LANES, Stored, Vector};

/// Pixels that are summed before their sum is added to a total, so that small terms are not lost in
/// a large total.
const RUN: usize = 256;

/// One image's contribution to the distribution of each channel.
///
/// The sums are of differences to a value of the channel itself (the pivot), because otherwise the
/// variance would be lost beside the square of the mean.
#[derive(Clone, Copy)]
pub struct Moments {
    /// The value of the channel's first pixel.
    pub pivot: Lanes,
    /// Σ (x − pivot).
    pub sum: Lanes,
    /// Σ (x − pivot)².
    pub squares: Lanes,
}

/// The normalisation of each channel: `(x − mean) · scale + beta`.
#[derive(Clone, Copy)]
pub struct Affine {
    /// Mean.
    pub mean: Lanes,
    /// gamma / √(variance + epsilon).
    pub scale: Lanes,
    /// Shift.
    pub beta: Lanes,
}

/// The coefficients of the gradient of each channel's source: `scale · (g − mean_gradient − (x −
/// mean) · slope)`.
#[derive(Clone, Copy)]
pub struct Centring {
    /// Σ g / n.
    pub mean_gradient: Lanes,
    /// Σ g · (x − mean) / (n · (variance + epsilon)).
    pub slope: Lanes,
}

/// [`Affine`] in vectors. The forward and the backward half both use it, so that they agree to the
/// bit on which results ReLU lets through.
#[derive(Clone, Copy)]
struct AffineVectors<V> {
    mean: V,
    scale: V,
    beta: V,
}

impl<V: Vector> AffineVectors<V> {
    /// # Safety
    /// As [`Vector`].
    #[inline(always)]
    unsafe fn new(affine: &Affine) -> Self {
        // SAFETY: by the caller's promise.
        unsafe { AffineVectors { mean: load(&affine.mean), scale: load(&affine.scale), beta: load(&affine.beta) } }
    }

    /// # Safety
    /// As [`Vector`].
    #[inline(always)]
    unsafe fn at(self, x: V) -> V {
        // SAFETY: by the caller's promise.
        unsafe { x.sub(self.mean).mul_add(self.scale, self.beta) }
    }
}

/// Computes the moments of `pixels > 0` pixels; `src` must be valid for them.
pub struct GatherMoments<'a, E> {
    pub src: *const E,
    pub pixels: usize,
    pub result: &'a mut Moments,
}

impl<E: Stored> Kernel for GatherMoments<'_, E> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: by the caller's promise; places are below `pixels`.
        unsafe {
            let pivot: V = E::load(self.src);
            let (mut sum, mut squares) = (V::splat(0.0), V::splat(0.0));
            for start in (0..self.pixels).step_by(RUN) {
                let (mut run_sum, mut run_squares) = (V::splat(0.0), V::splat(0.0));
                for pixel in start..self.pixels.min(start + RUN) {
                    let difference = E::load::<V>(self.src.add(pixel * V::LANES)).sub(pivot);
                    run_sum = run_sum.add(difference);
                    run_squares = difference.mul_add(difference, run_squares);
                }
                (sum, squares) = (sum.add(run_sum), squares.add(run_squares));
            }
            *self.result = Moments { pivot: lanes(pivot), sum: lanes(sum), squares: lanes(squares) };
        }
    }
}

/// The operation after a normalisation.
#[derive(Clone, Copy)]
pub enum Finish<E> {
    Nothing,
    Relu,
    /// Adds another activation, then applies ReLU.
    AddRelu(*const E),
}

/// Normalises `pixels` pixels. All pointers must be valid for the pixels. `dst` starts at a
/// multiple of a vector. It may equal an input, but not overlap it otherwise.
pub struct Normalise<'a, E> {
    pub src: *const E,
    pub dst: *mut E,
    pub pixels: usize,
    pub affine: &'a Affine,
    pub finish: Finish<E>,
    /// Whether the result is so large that it should not be kept in the caches.
    pub is_large: bool,
}

impl<E: Stored> Finish<E> {
    /// Applies the operation to the value at a place.
    ///
    /// # Safety
    /// An addend must be valid there; as [`Vector`].
    #[inline(always)]
    unsafe fn apply<V: Vector>(self, value: V, at: usize) -> V {
        // SAFETY: by the caller's promise.
        unsafe {
            match self {
                Finish::Nothing => value,
                Finish::Relu => value.relu(),
                Finish::AddRelu(addend) => value.add(E::load(addend.add(at))).relu(),
            }
        }
    }
}

impl<E: Stored> Kernel for Normalise<'_, E> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: by the caller's promise; places are below `pixels`.
        unsafe {
            let affine = AffineVectors::<V>::new(self.affine);
            for at in (0..self.pixels * V::LANES).step_by(V::LANES) {
                let value = self.finish.apply(affine.at(E::load(self.src.add(at))), at);
                put(value, self.dst.add(at), self.is_large);
            }
        }
    }
}

/// The source of a normalisation and the gradient of its result, `pixels` pixels of each. With
/// `relu`, results below 0 had no effect on what followed.
pub struct Gradient<'a, E> {
    pub src: *const E,
    pub ddst: *const E,
    pub pixels: usize,
    pub affine: &'a Affine,
    pub relu: bool,
}

impl<E: Stored> Gradient<'_, E> {
    /// `[x − mean, g]` at a place, where g is the gradient that ReLU let through.
    ///
    /// # Safety
    /// The pointers must be valid there; as [`Vector`].
    #[inline(always)]
    unsafe fn at<V: Vector>(&self, at: usize, affine: &AffineVectors<V>) -> [V; 2] {
        // SAFETY: by the caller's promise.
        unsafe {
            let (x, g) = (E::load::<V>(self.src.add(at)), E::load::<V>(self.ddst.add(at)));
            [x.sub(affine.mean), if self.relu { g.where_positive(affine.at(x)) } else { g }]
        }
    }
}

/// Computes Σ g and Σ g · (x − mean).
pub struct GatherGradients<'a, E> {
    pub of: Gradient<'a, E>,
    pub result: &'a mut [Lanes; 2],
}

impl<E: Stored> Kernel for GatherGradients<'_, E> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: by the caller's promise.
        unsafe {
            let affine = AffineVectors::<V>::new(self.of.affine);
            let (mut sum, mut products) = (V::splat(0.0), V::splat(0.0));
            for start in (0..self.of.pixels).step_by(RUN) {
                let (mut run_sum, mut run_products) = (V::splat(0.0), V::splat(0.0));
                for pixel in start..self.of.pixels.min(start + RUN) {
                    let [centred, g] = self.of.at(pixel * V::LANES, &affine);
                    run_sum = run_sum.add(g);
                    run_products = g.mul_add(centred, run_products);
                }
                (sum, products) = (sum.add(run_sum), products.add(run_products));
            }
            *self.result = [lanes(sum), lanes(products)];
        }
    }
}

/// Computes the gradient of the source, by the formula of [`Centring`]. `dsrc` must be valid for
/// the pixels and may equal an input.
pub struct SourceGradient<'a, E> {
    pub of: Gradient<'a, E>,
    pub centring: &'a Centring,
    pub dsrc: *mut E,
    /// As in [`Normalise`].
    pub is_large: bool,
}

impl<E: Stored> Kernel for SourceGradient<'_, E> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: by the caller's promise.
        unsafe {
            let (scale, minus_slope): (V, V) =
                (load(&self.of.affine.scale), load::<V>(&self.centring.slope).mul(V::splat(-1.0)));
            let mean_gradient: V = load(&self.centring.mean_gradient);
            let affine = AffineVectors::<V>::new(self.of.affine);
            for at in (0..self.of.pixels * V::LANES).step_by(V::LANES) {
                let [centred, g] = self.of.at(at, &affine);
                let gradient = centred.mul_add(minus_slope, g.sub(mean_gradient)).mul(scale);
                put(gradient, self.dsrc.add(at), self.is_large);
            }
        }
    }
}

/// # Safety
/// As [`Vector`]; `to` must be aligned to the vector.
#[inline(always)]
unsafe fn put<E: Stored, V: Vector>(value: V, to: *mut E, is_large: bool) {
    // SAFETY: by the caller's promise.
    unsafe { if is_large { E::stream(value, to) } else { E::store(value, to) } }
}

/// # Safety
/// As [`Vector`].
#[inline(always)]
unsafe fn load<V: Vector>(lanes: &Lanes) -> V {
    // SAFETY: [`Lanes`] has as many elements as the largest vector.
    unsafe { V::load(lanes.as_ptr()) }
}

/// # Safety
/// As [`Vector`].
#[inline(always)]
unsafe fn lanes<V: Vector>(value: V) -> Lanes {
    let mut lanes = [0.0; MOST_LANES];
    // SAFETY: [`Lanes`] has as many elements as the largest vector.
    unsafe { value.store(lanes.as_mut_ptr()) };
    lanes
}

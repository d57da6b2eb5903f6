//! The inner loops, in the best version for the processor. Every version gives the results of the
//! plain one.

use super::color::{self, Space};
use super::frame::{BLOCK, SIDE};
use super::{idct, upsample};

#[cfg(target_arch = "x86_64")]
use super::avx2::Avx2;

/// On other processors there is no proof of AVX2.
#[cfg(not(target_arch = "x86_64"))]
type Avx2 = std::convert::Infallible;

/// The instructions that may be used.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kernels {
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    avx2: Option<Avx2>,
}

/// Runs the AVX2 version if possible, and otherwise the plain one.
macro_rules! dispatch {
    ($self:expr, $avx2:ident($($argument:expr),*), $plain:expr) => {{
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = $self.avx2 {
            return avx2.$avx2($($argument),*);
        }
        $plain
    }};
}

impl Kernels {
    /// The best kernels for this processor.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        return Self { avx2: Avx2::detect() };
        #[cfg(not(target_arch = "x86_64"))]
        Self::default()
    }

    /// Transforms a row of `blocks` into 8 rows of samples, `stride` bytes apart. If `last` is
    /// known, a 0 in it says that a block has only its first coefficient.
    pub fn transform(
        self,
        blocks: &[[i16; BLOCK]],
        last: Option<&[u8]>,
        steps: &[i16; BLOCK],
        out: &mut [u8],
        stride: usize,
    ) {
        dispatch!(self, transform(blocks, last, steps, out, stride), {
            for (n, block) in blocks.iter().enumerate() {
                let out = &mut out[n * SIDE..];
                if last.is_some_and(|last| last[n] == 0) {
                    let sample = idct::transform_flat(block[0], steps[0]);
                    out.chunks_mut(stride).for_each(|row| row[..SIDE].fill(sample));
                } else {
                    idct::transform(block, steps, out, stride);
                }
            }
        })
    }

    /// [`upsample::columns`].
    pub fn upsample_columns(self, row: &[u8], sums: &mut [u16], out: &mut [u8]) {
        dispatch!(self, upsample_columns(row, sums, out), upsample::columns(row, sums, out))
    }

    /// [`upsample::rows`].
    pub fn upsample_rows(self, near: &[u8], far: &[u8], is_upper: bool, out: &mut [u8]) {
        dispatch!(self, upsample_rows(near, far, is_upper, out), upsample::rows(near, far, is_upper, out))
    }

    /// [`upsample::both`].
    pub fn upsample_both(self, near: &[u8], far: &[u8], sums: &mut [u16], out: &mut [u8]) {
        dispatch!(self, upsample_both(near, far, sums, out), upsample::both(near, far, sums, out))
    }

    /// [`color::convert`].
    pub fn convert(self, space: Space, rows: &[&[u8]], out: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if let (Some(avx2), Space::YCbCr, &[y, cb, cr]) = (self.avx2, space, rows) {
            return avx2.ycc(y, cb, cr, out);
        }
        color::convert(space, rows, out);
    }
}

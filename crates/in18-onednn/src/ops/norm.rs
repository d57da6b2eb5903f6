//! The L2 norm of a range of numbers.

use crate::isa::Isa;
use crate::threads::{Shared, parallel, part};
use crate::vector::multiversion;

/// Elements that the loop processes at once.
const LANES: usize = 32;

/// Elements whose squares are summed in one row. The sums of the parts are then added in the order
/// of the parts, so that the norm does not depend on the number of threads.
const PART: usize = 16384;

/// The L2 norm of `length` numbers, with sums in fp64.
///
/// # Safety
/// `values` must be valid for `length` elements, which nobody writes meanwhile.
pub unsafe fn norm(isa: Isa, values: Shared<f32>, length: usize) -> f64 {
    let mut sums = vec![0.0; length.div_ceil(PART)];
    let results = Shared::<f64>::new(sums.as_mut_ptr().cast());
    parallel(|thread, threads| {
        let own = part(length, PART, thread, threads);
        for start in own.clone().step_by(PART) {
            // SAFETY: the part lies within the numbers, by the caller's promise. Each part has its
            // own sum, and threads' shares begin at multiples of a part.
            unsafe {
                let sum = &mut *results.at(start / PART);
                add_squares(isa, values.at(start), PART.min(own.end - start), sum);
            }
        }
    });
    sums.iter().sum::<f64>().sqrt()
}

multiversion! {
    /// Adds the squares of `length` elements to `sum`.
    ///
    /// # Safety
    /// `values` must be valid for `length` elements.
    pub unsafe fn add_squares[](values: *const f32, length: usize, sum: &mut f64)
    where [] {
        let mut sums = [0_f64; LANES];
        let mut i = 0;
        while i + LANES <= length {
            // SAFETY: the block ends at or before `length`.
            let block = unsafe { values.add(i).cast::<[f32; LANES]>().read_unaligned() };
            for lane in 0..LANES {
                let value = f64::from(block[lane]);
                sums[lane] += value * value;
            }
            i += LANES;
        }
        while i < length {
            // SAFETY: `i < length`.
            let value = f64::from(unsafe { *values.add(i) });
            sums[i % LANES] += value * value;
            i += 1;
        }
        for lane in sums {
            *sum += lane;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_counts_once() {
        for length in [1, 31, 32, 100, PART - 1, PART, PART + 1, 3 * PART + 77] {
            let mut values: Vec<f32> = (0..length).map(|i| ((i * 37) % 101) as f32 - 50.0).collect();
            let expected = values.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
            for isa in [Isa::BASELINE, Isa::detect().unwrap()] {
                // SAFETY: the pointer is that of the values.
                let got = unsafe { norm(isa, Shared::new(values.as_mut_ptr().cast()), length) };
                // Sums of whole numbers are exact.
                assert_eq!(got, expected, "{length}");
            }
        }
    }
}

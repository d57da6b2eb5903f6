//! Memory planning: values that are never alive together may share bytes.
//!
//! Greedy by size: the largest value is placed first. Each value goes to the lowest offset where it
//! overlaps no placed value that is alive at the same time (Pisarchyk and Lee, *Efficient Memory
//! Management for Deep Neural Net Inference*, 2020, algorithm 3).

use std::ops::RangeInclusive;

use in18_tensor::align_up;

/// A value to be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Its size.
    pub bytes: usize,
    /// The numbers of the operations from the one that writes the value to the last that reads it.
    pub alive: RangeInclusive<usize>,
}

/// Offsets for all values, and the size of the arena that holds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// First byte of each value, in the order given; aligned.
    pub offsets: Vec<usize>,
    /// Bytes of the arena.
    pub bytes: usize,
}

/// Places values.
pub fn place(values: &[Lifetime]) -> Placement {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(values[index].bytes));
    let mut offsets = vec![0; values.len()];
    let mut placed: Vec<usize> = Vec::new(); // in the order of their offsets
    let mut total = 0;
    for index in order {
        let value = &values[index];
        let bytes = align_up(value.bytes);
        let mut offset = 0;
        for &other in placed.iter().filter(|&&other| overlap(&values[other].alive, &value.alive)) {
            if offset + bytes <= offsets[other] {
                break;
            }
            offset = offset.max(offsets[other] + align_up(values[other].bytes));
        }
        offsets[index] = offset;
        total = total.max(offset + bytes);
        let at = placed.partition_point(|&other| offsets[other] <= offset);
        placed.insert(at, index);
    }
    Placement { offsets, bytes: total }
}

fn overlap(a: &RangeInclusive<usize>, b: &RangeInclusive<usize>) -> bool {
    a.start() <= b.end() && b.start() <= a.end()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(bytes: usize, alive: RangeInclusive<usize>) -> Lifetime {
        Lifetime { bytes, alive }
    }

    #[test]
    fn a_chain_needs_two_buffers() {
        let chain: Vec<Lifetime> = (0..10).map(|i| value(640, i..=i + 1)).collect();
        assert_eq!(place(&chain).bytes, 2 * 640);
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(place(&[]).bytes, 0);
    }

    proptest! {
        #[test]
        fn values_alive_together_never_share_bytes(
            values in prop::collection::vec((0usize..5000, 0usize..40, 0usize..20), 0..60)
        ) {
            let values: Vec<Lifetime> =
                values.into_iter().map(|(bytes, start, length)| value(bytes, start..=start + length)).collect();
            let placement = place(&values);
            for (i, a) in values.iter().enumerate() {
                let (start, end) = (placement.offsets[i], placement.offsets[i] + a.bytes);
                prop_assert!(end <= placement.bytes);
                prop_assert_eq!(start % in18_tensor::ALIGNMENT, 0);
                for (j, b) in values.iter().enumerate().skip(i + 1) {
                    let other = placement.offsets[j]..placement.offsets[j] + b.bytes;
                    let apart = end <= other.start || other.end <= start;
                    prop_assert!(apart || !overlap(&a.alive, &b.alive), "{} and {}", i, j);
                }
            }
        }
    }
}

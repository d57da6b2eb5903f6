//! The order in which an epoch's images come.
//!
//! The full order is a permutation of all images. The window's order is for sets larger than
//! memory, and for slow disks. A *block* is [`BLOCK`] images that are stored one after another.
//! Blocks come in a random order. Each [`WINDOW`] images of these blocks are a window, and within a
//! window the images come in a random order. A disk therefore reads block after block, and a whole
//! window can be fetched before its turn.
//!
//! How random is that? A block's images stay within one window and spread over all of it. A batch
//! of 256 has images of about 200 of the window's 512 blocks. If the images of a block are alike,
//! as in shards that are sorted by class, a batch has the window's mixture of classes, not the
//! set's: 512 blocks drawn at random. Shards that this program has prepared are in a random order
//! already, except those made of tables. In such shards, a window is a sample like any other.

use std::sync::Arc;

use in18_dataset::ImageSet;
use in18_random::{Draws, Purpose, permutation, shuffle};

/// The number of images in a block.
const BLOCK: usize = 32;
/// The number of images in a window.
const WINDOW: usize = 16_384;

/// How the images of an epoch are mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shuffle {
    /// A permutation of all.
    #[default]
    Full,
    /// Blocks in a random order, mixed within windows.
    Window,
}

/// The order of an epoch, a function of (seed, epoch) and of where images are stored.
#[derive(Debug, Clone, PartialEq)]
pub struct EpochOrder {
    /// Numbers of all images, each once.
    pub(crate) images: Vec<u32>,
    pub(crate) fetches: Fetches,
}

/// Images that should be fetched before they are needed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Fetches {
    /// All images in the order in which they are stored.
    stored: Arc<Vec<u32>>,
    /// Pairs of an image's position, at which a window begins, and the blocks to fetch there: those
    /// of the next window.
    at: Vec<(usize, Vec<u32>)>,
}

impl Fetches {
    /// The blocks to be fetched when the image at `position` is begun. Each slice is a block of
    /// images that are stored one after another.
    pub(crate) fn blocks(&self, position: usize) -> impl Iterator<Item = &[u32]> {
        let found = self.at.binary_search_by_key(&position, |(at, _)| *at);
        let blocks = found.map_or(&[][..], |found| self.at[found].1.as_slice());
        blocks.iter().map(|&block| {
            let start = block as usize * BLOCK;
            &self.stored[start..(start + BLOCK).min(self.stored.len())]
        })
    }

    /// The same for a rank's share: every `world`th position, from `rank` on.
    pub(crate) fn share(mut self, rank: usize, world: usize) -> Self {
        self.at.iter_mut().for_each(|(at, _)| *at = at.saturating_sub(rank).div_ceil(world));
        self
    }
}

impl EpochOrder {
    /// A permutation of `images` images.
    pub(crate) fn full(seed: u64, epoch: u32, images: u32) -> Self {
        Self { images: permutation(seed, epoch, images), fetches: Fetches::default() }
    }

    /// The window's order of images. `stored` is the order in which they are stored.
    fn window(seed: u64, epoch: u32, stored: Vec<u32>) -> Self {
        Self::windows_of(seed, epoch, stored, WINDOW / BLOCK)
    }

    /// The order of a set's images.
    pub fn of(set: &ImageSet, shuffle: Shuffle, seed: u64, epoch: u32) -> Self {
        match shuffle {
            Shuffle::Full => Self::full(seed, epoch, set.len() as u32),
            Shuffle::Window => Self::window(seed, epoch, set.stored_order()),
        }
    }

    fn windows_of(seed: u64, epoch: u32, stored: Vec<u32>, blocks_of_window: usize) -> Self {
        // Other draws than those of the full order, which begin at (epoch, 0).
        let mut draws = Draws::new(seed, Purpose::Order, (epoch, 1));
        let mut blocks: Vec<u32> = (0..stored.len().div_ceil(BLOCK) as u32).collect();
        shuffle(&mut draws, &mut blocks);
        let mut images: Vec<u32> = Vec::with_capacity(stored.len());
        let mut at = Vec::new();
        for (number, window) in blocks.chunks(blocks_of_window).enumerate() {
            let start = images.len();
            for &block in window {
                images.extend(stored.iter().skip(block as usize * BLOCK).take(BLOCK));
            }
            shuffle(&mut draws, &mut images[start..]);
            let next: Vec<u32> =
                blocks.iter().skip((number + 1) * blocks_of_window).take(blocks_of_window).copied().collect();
            // No earlier window has fetched the first one.
            let fetched = if number == 0 { [window, &next].concat() } else { next };
            at.push((start, fetched));
        }
        Self { images, fetches: Fetches { stored: Arc::new(stored), at } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_image_comes_once_and_seeds_and_epochs_differ() {
        for images in [1, 31, 32, 33, 1000, 40_000] {
            let order = |seed, epoch| EpochOrder::window(seed, epoch, (0..images).rev().collect()).images;
            let mut sorted = order(1, 2);
            sorted.sort_unstable();
            assert_eq!(sorted, (0..images).collect::<Vec<_>>());
            assert_eq!(order(1, 2), order(1, 2));
            if images > 31 {
                assert!(order(1, 2) != order(1, 3) && order(1, 2) != order(2, 2));
            }
        }
    }

    #[test]
    fn images_of_a_block_are_spread_over_its_window_and_blocks_over_the_epoch() {
        let images = 200_000_u32;
        let order = EpochOrder::window(7, 0, (0..images).collect()).images;
        // Distances between images of one block that are neighbours on the disk. Two random places
        // in a window of W are W / 3 apart on average.
        let mut place = vec![0_usize; images as usize];
        order.iter().enumerate().for_each(|(at, &image)| place[image as usize] = at);
        let within: Vec<f64> = (0..images as usize - 1)
            .filter(|image| image % BLOCK != BLOCK - 1)
            .map(|image| place[image].abs_diff(place[image + 1]) as f64)
            .collect();
        let mean = within.iter().sum::<f64>() / within.len() as f64;
        assert!((mean / (WINDOW as f64 / 3.0) - 1.0).abs() < 0.05, "{mean}");
        assert!(within.iter().all(|&distance| distance < WINDOW as f64));
        // Neighbouring images of different blocks: two random places among all n images are n / 3
        // apart on average.
        let across: Vec<f64> = (BLOCK - 1..images as usize - 1)
            .step_by(BLOCK)
            .map(|image| place[image].abs_diff(place[image + 1]) as f64)
            .collect();
        let mean = across.iter().sum::<f64>() / across.len() as f64;
        assert!((mean / (f64::from(images) / 3.0) - 1.0).abs() < 0.05, "{mean}");
    }

    #[test]
    fn batches_of_a_set_sorted_by_class_have_many_classes() {
        // The worst case: 400 classes of 500 images, stored one after the other.
        let order = EpochOrder::window(3, 1, (0..200_000).collect()).images;
        let classes = |images: &[u32]| images.iter().map(|image| image / 500).collect::<HashSet<u32>>().len();
        let mean = |order: &[u32]| {
            let batches = order.chunks_exact(256);
            batches.clone().map(classes).sum::<usize>() as f64 / batches.len() as f64
        };
        let (window, full) = (mean(&order), mean(&EpochOrder::full(3, 1, 200_000).images));
        // A batch of a permutation has 189 of the 400 classes. A window has about 290 classes to
        // offer.
        assert!((185.0..195.0).contains(&full), "{full}");
        assert!((145.0..185.0).contains(&window), "{window}");
    }

    #[test]
    fn windows_are_fetched_before_their_turn() {
        let order = EpochOrder::windows_of(1, 1, (0..1000).map(|n| n * 7 % 1000).collect(), 4);
        let mut fetched: HashSet<u32> = HashSet::new();
        for (position, image) in order.images.iter().enumerate() {
            for block in order.fetches.blocks(position) {
                assert!(block.windows(2).all(|pair| pair[1] == (pair[0] + 7) % 1000), "{block:?}");
                fetched.extend(block);
            }
            assert!(fetched.contains(image), "{position}");
            assert!(fetched.len() <= position + 8 * BLOCK + 4 * BLOCK);
        }
        assert_eq!(fetched.len(), 1000);
        // A rank's share has fewer positions, so a window begins at a smaller position of the
        // share.
        for (rank, world) in [(0, 3), (2, 3)] {
            let share = order.fetches.clone().share(rank, world);
            for (position, _) in &order.fetches.at {
                let own = (0..).find(|own| own * world + rank >= *position).unwrap();
                assert_eq!(share.blocks(own).count(), order.fetches.blocks(*position).count());
            }
        }
        assert_eq!(EpochOrder::full(0, 0, 50).fetches.blocks(0).count(), 0);
    }
}

//! What an epoch consists of: which images, in which batches, at which size, transformed how. All
//! of it is fixed before the first image is read.

use std::ops::Range;

use in18_image::Size;

use crate::error::PlanError;
use crate::jitter::Jitter;
use crate::mix::{Mix, Mixing};
use crate::order::{EpochOrder, Fetches};
use crate::rect::{self, short_side};

/// This process's part of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    rank: usize,
    world: usize,
}

impl Share {
    /// All of an epoch: a world of one rank.
    pub const ALL: Self = Self { rank: 0, world: 1 };

    /// The share of `rank` among `world` ranks.
    ///
    /// # Errors
    /// [`PlanError::Share`] unless `rank < world`.
    pub fn new(rank: usize, world: usize) -> Result<Self, PlanError> {
        if rank >= world {
            return Err(PlanError::Share { rank, world });
        }
        Ok(Self { rank, world })
    }
}

/// Which images are mirrored left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flip {
    /// None.
    None,
    /// Each with probability ½ in each epoch.
    Random,
    /// Each in every other epoch. A coin decides which epochs.
    Alternating,
}

/// Settings of what a training epoch changes at random: crops, flips and colours of each image, and
/// mixtures of two.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Augmentation {
    /// The run's seed.
    pub seed: u64,
    /// The epoch, from 0.
    pub epoch: u32,
    /// Lower bound of a crop's share of the image's area.
    pub min_scale: f64,
    /// Its upper bound, up to 1.
    pub max_scale: f64,
    /// Bounds of a crop's width / height.
    pub ratio: [f64; 2],
    /// Which images are mirrored.
    pub flip: Flip,
    /// How far colours change.
    pub jitter: Jitter,
    /// The probability that a rectangle of an image is erased.
    pub erase: f64,
    /// How the images of a batch are mixed.
    pub mixing: Mixing,
}

impl Augmentation {
    /// torchvision's: a crop of at most the whole area, of a width / height from 3/4 to 4/3, and a
    /// flip in half of the cases.
    pub fn torchvision(seed: u64, epoch: u32, min_scale: f64) -> Self {
        Augmentation {
            seed,
            epoch,
            min_scale,
            max_scale: 1.0,
            ratio: [3.0 / 4.0, 4.0 / 3.0],
            flip: Flip::Random,
            jitter: Jitter::default(),
            erase: 0.0,
            mixing: Mixing::default(),
        }
    }
}

/// What happens to an image between decoding and its place in the batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Transform {
    /// Random resized crop to the batch's size, and a flip; then colours and erasing.
    Train(Augmentation),
    /// Short side to so many pixels, then a centre crop of the batch's size.
    Validate { short: u32 },
}

/// What a training batch is like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingBatch {
    /// Images of one rank; the epoch's last batch may have fewer.
    pub images: usize,
    /// Side of the images, which are squares, in pixels.
    pub sz: u32,
    /// How they are changed at random.
    pub augmentation: Augmentation,
}

/// One batch: a range of the plan's images, the size that all of them get, and how.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BatchSpec {
    /// Its place in the epoch, from 0. Selecting a part of the plan does not change it.
    pub index: usize,
    pub images: Range<usize>,
    pub size: Size,
    pub transform: Transform,
    /// How its images are mixed after that.
    pub mix: Option<Mix>,
}

/// An epoch of one rank, batch by batch.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchPlan {
    /// Images of all batches, one after the other.
    images: Vec<u32>,
    batches: Vec<BatchSpec>,
    fetches: Fetches,
}

impl BatchPlan {
    /// A training epoch over a permutation of all `images` that depends on (seed, epoch). The
    /// permutation is padded from its beginning until every rank has the same number of images.
    /// Images are dealt to the ranks one by one, in batches of `batch` a rank; the last batch may
    /// be smaller.
    ///
    /// Batch i of all ranks together is therefore the same set of images for any number of ranks
    /// with the same global batch.
    ///
    /// Images are mixed within their batch. If the last batch has one image, that stays as it is.
    ///
    /// # Errors
    /// [`PlanError::NoImages`], [`PlanError::EmptyBatch`], [`PlanError::MinScale`],
    /// [`PlanError::NothingToMix`].
    pub fn train(
        images: u32,
        share: Share,
        batch: usize,
        sz: u32,
        augmentation: Augmentation,
    ) -> Result<Self, PlanError> {
        let order = EpochOrder::full(augmentation.seed, augmentation.epoch, images);
        Self::train_in_order(order, share, |_| TrainingBatch { images: batch, sz, augmentation })
    }

    /// Like [`train`](Self::train), in another order. `batches` says what a batch is like, by its
    /// place in the epoch, from 0.
    ///
    /// # Errors
    /// Those of [`train`](Self::train).
    pub fn train_in_order(
        order: EpochOrder,
        share: Share,
        batches: impl Fn(usize) -> TrainingBatch,
    ) -> Result<Self, PlanError> {
        let EpochOrder { images, fetches } = order;
        let Share { rank, world } = share;
        let each = images.len().div_ceil(world);
        let mine: Vec<u32> = (0..each).map(|k| images[(k * world + rank) % images.len()]).collect();
        check(images.len() as u32, batches(0).images)?;
        let mut specs: Vec<BatchSpec> = Vec::new();
        let mut start = 0;
        while start < mine.len() {
            let index = specs.len();
            let TrainingBatch { images, sz, augmentation } = batches(index);
            check(mine.len() as u32, images)?;
            let min_scale = augmentation.min_scale;
            if !(min_scale > 0.0 && min_scale <= 1.0) {
                return Err(PlanError::MinScale(min_scale));
            }
            if images == 1 && augmentation.mixing.is_on() {
                return Err(PlanError::NothingToMix);
            }
            let end = (start + images).min(mine.len());
            let (size, transform) = (Size::new(sz, sz), Transform::Train(augmentation));
            // No epoch has more images than an u32 counts, and so no more batches.
            let place = (augmentation.seed, augmentation.epoch, (index * world + rank) as u32);
            let mix = if end - start > 1 { Mix::draw(augmentation.mixing, place, size) } else { None };
            specs.push(BatchSpec { index, images: start..end, size, transform, mix });
            start = end;
        }
        Ok(Self { images: mine, batches: specs, fetches: fetches.share(rank, world) })
    }

    /// Validation on squares: all images in the set's order, cut into batches of `batch`. Every
    /// rank takes a run of whole batches; the last ranks may get fewer batches or none. No image is
    /// in two shares.
    ///
    /// # Errors
    /// [`PlanError::NoImages`], [`PlanError::EmptyBatch`].
    pub fn validation(images: u32, share: Share, batch: usize, sz: u32) -> Result<Self, PlanError> {
        check(images, batch)?;
        let all = Self::in_runs((0..images).collect(), batch, |_, _| Size::new(sz, sz), of_validation(sz));
        Ok(all.share_of_batches(share))
    }

    /// Rectangular validation. Images are sorted by width / height, rounded to five digits; equal
    /// ones keep the set's order. Images without a size in `sizes` are left out. Each run of
    /// `batch` images is one batch, and shares the crop that fits its mean ratio. Shares are runs
    /// of whole batches, as in [`validation`](Self::validation).
    ///
    /// # Errors
    /// [`PlanError::NoImages`], [`PlanError::EmptyBatch`], [`PlanError::TooSmall`].
    pub fn rectangular_validation(
        sizes: &[Option<Size>],
        share: Share,
        batch: usize,
        sz: u32,
    ) -> Result<Self, PlanError> {
        check(u32::try_from(sizes.len()).unwrap_or(u32::MAX), batch)?;
        if sz < 8 {
            return Err(PlanError::TooSmall(sz));
        }
        let ratios: Vec<f64> = sizes.iter().map(|size| size.map_or(f64::NAN, rect::ratio)).collect();
        let mut order: Vec<u32> = (0..sizes.len() as u32).filter(|&image| sizes[image as usize].is_some()).collect();
        if order.is_empty() {
            return Err(PlanError::NoImages);
        }
        order.sort_by(|&a, &b| ratios[a as usize].total_cmp(&ratios[b as usize]));
        let all = Self::in_runs(
            order,
            batch,
            |_, images| rect::batch_size(sz, images.iter().map(|&i| ratios[i as usize])),
            of_validation(sz),
        );
        Ok(all.share_of_batches(share))
    }

    /// The same validation batches of size `sz` with another centre crop: of this share of the short
    /// side, from 0.1 to 1, instead of the original's.
    pub fn with_centre_crop(mut self, sz: u32, share: f64) -> Self {
        for batch in &mut self.batches {
            batch.transform = Transform::Validate { short: (f64::from(sz) / share) as u32 };
        }
        self
    }

    /// How many batches there are.
    pub fn len(&self) -> usize {
        self.batches.len()
    }

    /// Whether this rank has nothing to do.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// How many images the batches hold together.
    pub fn image_count(&self) -> usize {
        self.batches.iter().map(|b| b.images.len()).sum()
    }

    /// The images of a batch in their order. `batch` is below `len()`.
    pub fn images(&self, batch: usize) -> &[u32] {
        &self.images[self.batches[batch].images.clone()]
    }

    /// The size that all images of a batch get. `batch` is below `len()`.
    pub fn size(&self, batch: usize) -> Size {
        self.batches[batch].size
    }

    /// How the images of a batch are mixed, if they are. `batch` is below `len()`.
    pub fn mix(&self, batch: usize) -> Option<Mix> {
        self.batches[batch].mix
    }

    /// Some of the batches; they keep their indices. This serves an epoch that is cut short or
    /// continued. Numbers outside the plan are left out.
    pub fn select(mut self, batches: Range<usize>) -> Self {
        self.batches.truncate(batches.end);
        self.batches.drain(..batches.start.min(self.batches.len()));
        self
    }

    /// Images to be fetched when an image of a batch is begun. Each slice has images that are
    /// stored one after another.
    pub(crate) fn fetches(&self, batch: usize, position: usize) -> impl Iterator<Item = &[u32]> {
        self.fetches.blocks(self.batches[batch].images.start + position)
    }

    pub(crate) fn batch(&self, batch: usize) -> &BatchSpec {
        &self.batches[batch]
    }

    pub(crate) fn batches(&self) -> &[BatchSpec] {
        &self.batches
    }

    /// How the images of a batch are transformed. `batch` is below `len()`.
    pub(crate) fn transform(&self, batch: usize) -> Transform {
        self.batches[batch].transform
    }

    fn in_runs(images: Vec<u32>, batch: usize, size: impl Fn(usize, &[u32]) -> Size, transform: Transform) -> Self {
        let batches = (0..images.len())
            .step_by(batch)
            .enumerate()
            .map(|(index, start)| {
                let range = start..(start + batch).min(images.len());
                BatchSpec { index, size: size(index, &images[range.clone()]), images: range, transform, mix: None }
            })
            .collect();
        Self { images, batches, fetches: Fetches::default() }
    }

    fn share_of_batches(self, share: Share) -> Self {
        let each = self.batches.len().div_ceil(share.world);
        self.select(share.rank * each..(share.rank + 1) * each)
    }
}

fn of_validation(sz: u32) -> Transform {
    Transform::Validate { short: short_side(sz) }
}

fn check(images: u32, batch: usize) -> Result<(), PlanError> {
    if images == 0 {
        return Err(PlanError::NoImages);
    }
    if batch == 0 {
        return Err(PlanError::EmptyBatch);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn augmentation(seed: u64, epoch: u32) -> Augmentation {
        Augmentation::torchvision(seed, epoch, 0.08)
    }

    fn train(images: u32, rank: usize, world: usize, batch: usize) -> BatchPlan {
        let share = Share::new(rank, world).unwrap();
        BatchPlan::train(images, share, batch, 96, augmentation(4, 2)).unwrap()
    }

    /// Batch i of all ranks together, sorted. Every rank has `batch` images a step.
    fn global(images: u32, world: usize, batch: usize) -> Vec<Vec<u32>> {
        let ranks: Vec<BatchPlan> = (0..world).map(|r| train(images, r, world, batch)).collect();
        assert!(ranks.iter().all(|r| r.len() == ranks[0].len()));
        (0..ranks[0].len())
            .map(|i| {
                let mut all: Vec<u32> = ranks.iter().flat_map(|r| r.images(i)).copied().collect();
                all.sort_unstable();
                all
            })
            .collect()
    }

    #[test]
    fn global_batches_do_not_depend_on_the_number_of_ranks() {
        let one = global(1000, 1, 48);
        assert_eq!(one.len(), 21);
        for world in [2, 3, 8] {
            let many = global(1000, world, 48 / world);
            assert_eq!(many.len(), one.len());
            assert_eq!(many[..20], one[..20], "world {world}");
            // The last batch is padded, so that every rank has the same number of images.
            let padded: Vec<u32> = train(1000, 0, 1, 48)
                .images
                .iter()
                .cycle()
                .copied()
                .take(1000_usize.next_multiple_of(world))
                .skip(20 * 48)
                .collect();
            let mut padded = padded;
            padded.sort_unstable();
            assert_eq!(many[20], padded, "world {world}");
        }
    }

    #[test]
    fn every_rank_trains_on_as_many_images_and_none_is_missed() {
        for (images, world, batch) in [(10, 3, 2), (7, 8, 4), (1, 3, 5), (96, 4, 8)] {
            let ranks: Vec<BatchPlan> = (0..world).map(|r| train(images, r, world, batch)).collect();
            let each = (images as usize).div_ceil(world);
            assert!(ranks.iter().all(|r| r.image_count() == each));
            let seen: std::collections::HashSet<u32> = ranks.iter().flat_map(|r| r.images.clone()).collect();
            assert_eq!(seen.len(), images as usize);
        }
    }

    #[test]
    fn epochs_and_seeds_differ() {
        let plan = |seed, epoch| BatchPlan::train(500, Share::ALL, 64, 96, augmentation(seed, epoch)).unwrap().images;
        assert_eq!(plan(1, 1), plan(1, 1));
        assert_ne!(plan(1, 1), plan(1, 2));
        assert_ne!(plan(1, 1), plan(2, 1));
    }

    #[test]
    fn validation_shares_cover_every_image_once() {
        let size = |i: u32| Some(Size::new(200 + i * 37 % 300, 200 + i * 53 % 300));
        let sizes: Vec<Option<Size>> = (0..1003).map(size).collect();
        for world in [1, 2, 3, 8, 50] {
            for rectangular in [false, true] {
                let plan = |share| {
                    if rectangular {
                        BatchPlan::rectangular_validation(&sizes, share, 100, 128).unwrap()
                    } else {
                        BatchPlan::validation(1003, share, 100, 128).unwrap()
                    }
                };
                let all = plan(Share::ALL);
                let mut batches = Vec::new();
                for rank in 0..world {
                    let part = plan(Share::new(rank, world).unwrap());
                    for b in 0..part.len() {
                        assert_eq!(part.batch(b), all.batch(batches.len()));
                        batches.push(part.images(b).to_vec());
                    }
                }
                let mut seen = batches.concat();
                seen.sort_unstable();
                assert_eq!(seen, (0..1003).collect::<Vec<_>>());
                assert_eq!(batches.len(), 11);
            }
        }
        // Eleven batches for eight ranks: the first ranks get two each, so the last two get none.
        let last = BatchPlan::validation(1003, Share::new(7, 8).unwrap(), 100, 128).unwrap();
        assert!(last.is_empty());
    }

    #[test]
    fn rectangular_batches_go_from_tall_to_wide() {
        let sizes: Vec<Option<Size>> = (0..40).map(|i| Some(Size::new(100 + 7 * (i * 17 % 40), 240))).collect();
        let plan = BatchPlan::rectangular_validation(&sizes, Share::ALL, 8, 96).unwrap();
        let shape = |b| (plan.size(b).width, plan.size(b).height);
        // Means of the ratios 100/240, 107/240, … in runs of eight, worked out in Python.
        let expected = [(96, 184), (96, 120), (96, 96), (112, 96), (136, 96)];
        assert_eq!((0..5).map(shape).collect::<Vec<_>>(), expected);
        // Equal ratios keep the set's order.
        // The third has no readable header.
        let equal = [(300, 200), (600, 400), (150, 100)].map(|(width, height)| Some(Size::new(width, height)));
        let sizes = [equal[0], equal[1], None, equal[2]];
        let plan = BatchPlan::rectangular_validation(&sizes, Share::ALL, 8, 96).unwrap();
        assert_eq!(plan.images(0), [0, 1, 3]);
    }

    #[test]
    fn selected_batches_keep_their_index() {
        let plan = train(100, 0, 1, 16);
        let part = plan.clone().select(2..4);
        assert_eq!(part.len(), 2);
        assert_eq!(part.images(0), plan.images(2));
        assert_eq!(part.batch(1).index, 3);
        assert_eq!(plan.clone().select(5..100).len(), 2);
        assert!(plan.clone().select(50..60).is_empty());
    }

    #[test]
    fn each_batch_has_its_own_images_size_and_crop() {
        let order = || EpochOrder::full(4, 2, 100);
        let of = |batch: usize| TrainingBatch {
            images: 10 + 10 * (batch / 3),
            sz: 64 + 32 * (batch / 3) as u32,
            augmentation: Augmentation { min_scale: 0.5 - 0.1 * (batch / 3) as f64, ..augmentation(4, 2) },
        };
        let plan = BatchPlan::train_in_order(order(), Share::ALL, of).unwrap();
        let found: Vec<(usize, u32)> = (0..plan.len()).map(|b| (plan.images(b).len(), plan.size(b).width)).collect();
        assert_eq!(found, [(10, 64), (10, 64), (10, 64), (20, 96), (20, 96), (20, 96), (10, 128)]);
        assert_eq!(plan.transform(6), Transform::Train(of(6).augmentation));
        assert_eq!((plan.images.clone(), plan.image_count()), (train(100, 0, 1, 16).images, 100));
        let empty = |batch| TrainingBatch { images: usize::from(batch == 0), ..of(batch) };
        assert_eq!(BatchPlan::train_in_order(order(), Share::ALL, empty), Err(PlanError::EmptyBatch));
    }

    #[test]
    fn a_centre_crop_is_a_share_of_the_short_side() {
        let plan = BatchPlan::validation(3, Share::ALL, 2, 224).unwrap();
        assert_eq!(plan.transform(1), Transform::Validate { short: 255 });
        // timm's: floor(224 / 0.95) is 235. torchvision resizes to 232.
        for (share, short) in [(0.875, 256), (0.95, 235), (0.9655, 232), (1.0, 224), (0.1, 2240)] {
            let plan = plan.clone().with_centre_crop(224, share);
            assert_eq!((plan.transform(1), plan.size(1)), (Transform::Validate { short }, Size::new(224, 224)));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(Share::new(3, 3), Err(PlanError::Share { rank: 3, world: 3 }));
        assert_eq!(BatchPlan::validation(0, Share::ALL, 1, 96), Err(PlanError::NoImages));
        assert_eq!(BatchPlan::validation(5, Share::ALL, 0, 96), Err(PlanError::EmptyBatch));
        for min_scale in [0.0, -1.0, 1.5, f64::NAN] {
            let augmentation = Augmentation::torchvision(0, 0, min_scale);
            assert!(matches!(BatchPlan::train(5, Share::ALL, 1, 96, augmentation), Err(PlanError::MinScale(_))));
        }
        assert_eq!(
            BatchPlan::rectangular_validation(&[Some(Size::new(3, 4))], Share::ALL, 1, 7),
            Err(PlanError::TooSmall(7))
        );
    }
}

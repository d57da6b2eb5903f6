//! Batches from files: the same for any number of workers, whole, in order, and with a clean end.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use in18_dataset::ImageSet;
use in18_loader::{
    Augmentation, Batch, BatchPlan, Jitter, LoadError, Loader, Mix, Mixing, OnBadImage, PlanError, Share, Size,
};
use rustix::fs::{CWD, Mode, mkfifoat};
use tempfile::TempDir;

const IMAGES: u32 = 60;

/// Three classes of twenty JPEGs of many sizes.
fn photos() -> (TempDir, Arc<ImageSet>) {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..IMAGES {
        let class = dir.path().join(format!("class{}", i / 20));
        fs::create_dir_all(&class).unwrap();
        let (width, height) = (40 + (i * 13 % 50) as u16, 40 + (i * 29 % 50) as u16);
        let pixels: Vec<u8> =
            (0..u32::from(width) * u32::from(height) * 3).map(|k| ((k * 7 / 3 + i * 31) % 256) as u8).collect();
        jpeg_encoder::Encoder::new_file(class.join(format!("{i:02}.jpg")), 90)
            .unwrap()
            .encode(&pixels, width, height, jpeg_encoder::ColorType::Rgb)
            .unwrap();
    }
    let set = Arc::new(ImageSet::open(dir.path()).unwrap());
    (dir, set)
}

fn train_plan(epoch: u32, batch: usize) -> BatchPlan {
    let augmentation = Augmentation::torchvision(9, epoch, 0.08);
    BatchPlan::train(IMAGES, Share::ALL, batch, 32, augmentation).unwrap()
}

fn mixed_plan(mixing: Mixing, share: Share, batch: usize) -> Result<BatchPlan, PlanError> {
    let augmentation = Augmentation { mixing, ..Augmentation::torchvision(9, 0, 0.08) };
    BatchPlan::train(IMAGES, share, batch, 32, augmentation)
}

/// A copy of all that a batch holds.
#[derive(Debug, Clone, PartialEq)]
struct Owned {
    index: usize,
    size: Size,
    images: Vec<u32>,
    labels: Vec<i32>,
    pixels: Vec<u8>,
    mixed_in: Option<(Vec<i32>, f32)>,
}

impl From<&Batch<'_>> for Owned {
    fn from(batch: &Batch<'_>) -> Self {
        Owned {
            index: batch.index(),
            size: batch.size(),
            images: batch.images().to_vec(),
            labels: batch.labels().to_vec(),
            pixels: batch.pixels().to_vec(),
            mixed_in: batch.mixed_in().map(|mixed_in| (mixed_in.labels.to_vec(), mixed_in.share)),
        }
    }
}

fn run(loader: &mut Loader, plan: BatchPlan) -> Result<Vec<Owned>, LoadError> {
    let mut epoch = loader.start(plan)?;
    let mut all = Vec::new();
    while let Some(batch) = epoch.next()? {
        all.push(Owned::from(&batch));
    }
    assert!(epoch.next()?.is_none());
    Ok(all)
}

#[test]
fn batches_are_the_same_bits_for_any_number_of_workers() {
    let (_dir, set) = photos();
    let sizes: Vec<Option<Size>> = set.sizes(NonZeroUsize::MIN).into_iter().map(Result::ok).collect();
    let plans = [
        train_plan(0, 16),
        train_plan(1, 1),
        BatchPlan::validation(IMAGES, Share::ALL, 25, 32).unwrap(),
        BatchPlan::rectangular_validation(&sizes, Share::ALL, 7, 32).unwrap(),
    ];
    let mut one = Loader::new(Arc::clone(&set), 1, OnBadImage::Fail).unwrap();
    let expected: Vec<Vec<Owned>> = plans.iter().map(|plan| run(&mut one, plan.clone()).unwrap()).collect();
    for workers in [0, 2, 5] {
        let mut many = Loader::new(Arc::clone(&set), workers, OnBadImage::Fail).unwrap();
        for (plan, expected) in plans.iter().zip(&expected) {
            assert!(run(&mut many, plan.clone()).unwrap() == *expected);
        }
    }
    for (plan, batches) in plans.iter().zip(&expected) {
        assert_eq!(batches.len(), plan.len());
        for (i, batch) in batches.iter().enumerate() {
            assert_eq!(batch.index, i);
            assert_eq!(batch.images, plan.images(i));
            let labels: Vec<i32> = batch.images.iter().map(|i| *i as i32 / 20).collect();
            assert_eq!(batch.labels, labels);
            assert_eq!(batch.pixels.len(), batch.images.len() * batch.size.bytes());
        }
    }
    // Sizes differ among rectangular batches, crops among epochs.
    assert_ne!(expected[3][0].size, expected[3].last().unwrap().size);
    let again = run(&mut one, train_plan(2, 16)).unwrap();
    assert_ne!(again[0].pixels, expected[0][0].pixels);
}

#[test]
fn an_image_looks_the_same_in_whichever_batch_it_comes() {
    let (_dir, set) = photos();
    let mut loader = Loader::new(set, 2, OnBadImage::Fail).unwrap();
    let bytes = Size::new(32, 32).bytes();
    let mut pixels_by_image = |batch: usize| {
        let mut by_image = std::collections::BTreeMap::new();
        for b in run(&mut loader, train_plan(3, batch)).unwrap() {
            for (image, pixels) in b.images.iter().zip(b.pixels.chunks(bytes)) {
                by_image.insert(*image, pixels.to_vec());
            }
        }
        by_image
    };
    assert_eq!(pixels_by_image(7), pixels_by_image(32));
}

#[test]
fn an_epoch_can_be_taken_up_in_its_middle() {
    let (_dir, set) = photos();
    let mut loader = Loader::new(set, 2, OnBadImage::Fail).unwrap();
    let all = run(&mut loader, train_plan(0, 16)).unwrap();
    let rest = run(&mut loader, train_plan(0, 16).select(2..usize::MAX)).unwrap();
    assert!(rest == all[2..]);
}

const MIXUP: Mixing = Mixing { mixup: 0.8, cutmix: 0.0 };
const CUTMIX: Mixing = Mixing { mixup: 0.0, cutmix: 1.0 };
const BOTH: Mixing = Mixing { mixup: 0.2, cutmix: 1.0 };

/// Odd batches, even ones, and a last one of one image.
#[test]
fn mixed_batches_are_the_plain_ones_mixed_for_any_number_of_workers() {
    let (_dir, set) = photos();
    let mut one = Loader::new(Arc::clone(&set), 1, OnBadImage::Fail).unwrap();
    for (mixing, batch) in [(MIXUP, 16), (CUTMIX, 7), (BOTH, 2), (BOTH, 59)] {
        let plan = || mixed_plan(mixing, Share::ALL, batch).unwrap();
        let plain = run(&mut one, mixed_plan(Mixing::default(), Share::ALL, batch).unwrap()).unwrap();
        let mixed = run(&mut one, plan()).unwrap();
        let mut changed = 0;
        for (number, (plain, mixed)) in plain.iter().zip(&mixed).enumerate() {
            let images = plain.labels.len();
            let mut expected = plain.clone();
            match plan().mix(number) {
                None => assert_eq!(images, 1),
                Some(mix) => {
                    assert!(images > 1);
                    mix.mix_batch(plain.size, &mut expected.pixels);
                    let others = (0..images).map(|place| plain.labels[Mix::partner(place, images)]).collect();
                    expected.mixed_in = Some((others, mix.share()));
                    changed += usize::from(expected.pixels != plain.pixels);
                }
            }
            assert!(*mixed == expected, "{mixing:?}, batches of {batch}: batch {number}");
        }
        assert!(changed > 0, "nothing was mixed");
        for workers in [2, 5, 16] {
            let mut many = Loader::new(Arc::clone(&set), workers, OnBadImage::Fail).unwrap();
            assert!(run(&mut many, plan()).unwrap() == mixed, "{workers} workers");
        }
        let rest = run(&mut one, plan().select(1..usize::MAX)).unwrap();
        assert!(rest == mixed[1..], "taken up in the middle");
    }
}

#[test]
fn colours_and_erasing_change_pixels_alone_for_any_number_of_workers() {
    let (_dir, set) = photos();
    let plan = |jitter, erase| {
        let augmentation = Augmentation { jitter, erase, ..Augmentation::torchvision(9, 0, 0.08) };
        BatchPlan::train(IMAGES, Share::ALL, 16, 32, augmentation).unwrap()
    };
    let mut one = Loader::new(Arc::clone(&set), 1, OnBadImage::Fail).unwrap();
    let mut many = Loader::new(set, 5, OnBadImage::Fail).unwrap();
    let plain = run(&mut one, train_plan(0, 16)).unwrap();
    let colours = Jitter { brightness: 0.4, contrast: 0.4, saturation: 0.4 };
    for (jitter, erase) in [(colours, 0.0), (Jitter::default(), 1.0), (colours, 0.5)] {
        let changed = run(&mut one, plan(jitter, erase)).unwrap();
        for (plain, changed) in plain.iter().zip(&changed) {
            let bytes = plain.size.bytes();
            let pairs = plain.pixels.chunks(bytes).zip(changed.pixels.chunks(bytes));
            assert!(pairs.filter(|(plain, changed)| plain == changed).count() < 4, "{jitter:?}, {erase}");
            assert!(Owned { pixels: plain.pixels.clone(), ..changed.clone() } == *plain);
        }
        assert!(run(&mut many, plan(jitter, erase)).unwrap() == changed);
        assert!(run(&mut many, plan(jitter, erase).select(2..usize::MAX)).unwrap() == changed[2..]);
    }
}

#[test]
fn each_rank_mixes_its_own_images_in_its_own_way() {
    let (_dir, set) = photos();
    let mut loader = Loader::new(set, 2, OnBadImage::Fail).unwrap();
    let mut of_rank = |rank| {
        let plan = mixed_plan(MIXUP, Share::new(rank, 2).unwrap(), 8).unwrap();
        run(&mut loader, plan).unwrap()
    };
    let [one, other] = [of_rank(0), of_rank(1)];
    let shares = |batches: &[Owned]| batches.iter().map(|it| it.mixed_in.as_ref().unwrap().1).collect::<Vec<f32>>();
    assert!(shares(&one).iter().zip(shares(&other)).all(|(&one, other)| one != other));
    for batch in one.iter().chain(&other) {
        let (others, _) = batch.mixed_in.as_ref().unwrap();
        let mut reversed = batch.labels.clone();
        reversed.reverse();
        assert_eq!(*others, reversed);
    }
}

/// An image that takes a bad one's place is mixed like any other.
#[test]
fn replaced_images_are_mixed_with_their_own_labels() {
    let (_dir, set) = photos();
    fs::write(set.path(17), b"GIF89a").unwrap();
    fs::remove_file(set.path(40)).unwrap();
    let plan = |mixing| mixed_plan(mixing, Share::ALL, 15).unwrap();
    let mut one = Loader::new(Arc::clone(&set), 1, OnBadImage::Skip).unwrap();
    let (plain, _) = run_skipping(&mut one, plan(Mixing::default()));
    let mixed = run_skipping(&mut one, plan(CUTMIX));
    for (number, (plain, mixed)) in plain.iter().zip(&mixed.0).enumerate() {
        let mut expected = plain.clone();
        let mix = plan(CUTMIX).mix(number).unwrap();
        mix.mix_batch(plain.size, &mut expected.pixels);
        expected.mixed_in = Some((plain.labels.iter().rev().copied().collect(), mix.share()));
        assert!(*mixed == expected, "batch {number}");
    }
    assert_eq!(mixed.1.concat().len(), 2);
    let mut many = Loader::new(set, 4, OnBadImage::Skip).unwrap();
    assert!(run_skipping(&mut many, plan(CUTMIX)) == mixed);
}

#[test]
fn batches_of_one_image_cannot_be_mixed() {
    assert_eq!(mixed_plan(MIXUP, Share::ALL, 1), Err(PlanError::NothingToMix));
    assert!(mixed_plan(Mixing::default(), Share::ALL, 1).is_ok());
    // The last batch has what is left.
    let plan = mixed_plan(BOTH, Share::ALL, 59).unwrap();
    assert!(plan.mix(0).is_some() && plan.mix(1).is_none());
}

#[test]
fn validation_is_resize_and_centre_crop() {
    let (_dir, set) = photos();
    let mut loader = Loader::new(Arc::clone(&set), 2, OnBadImage::Fail).unwrap();
    let plan = BatchPlan::validation(IMAGES, Share::ALL, 10, 32).unwrap();
    let batches = run(&mut loader, plan).unwrap();
    let mut image = in18_image::Rgb8Image::new();
    let bytes = fs::read(set.path(13)).unwrap();
    in18_image::Decoder::new().decode(&bytes, &mut image).unwrap();
    let to = in18_loader::resized_for_validation(image.size(), in18_loader::short_side(32));
    let mut resized = in18_image::Rgb8Image::new();
    in18_image::Resizer::new().resize(&image, in18_image::Crop::whole(image.size()), to, resized.reset(to)).unwrap();
    let mut expected = vec![0; Size::new(32, 32).bytes()];
    in18_image::center_crop(&resized, Size::new(32, 32), &mut expected).unwrap();
    assert!(batches[1].pixels[3 * expected.len()..][..expected.len()] == expected);
}

#[test]
fn dropping_early_ends_cleanly_and_the_loader_goes_on() {
    let (_dir, set) = photos();
    let mut loader = Loader::new(Arc::clone(&set), 3, OnBadImage::Fail).unwrap();
    let expected = run(&mut loader, train_plan(0, 4)).unwrap();
    for taken in [0, 1, 3] {
        let mut epoch = loader.start(train_plan(5, 4)).unwrap();
        for _ in 0..taken {
            assert!(epoch.next().unwrap().is_some());
        }
        drop(epoch);
        assert!(run(&mut loader, train_plan(0, 4)).unwrap() == expected);
    }
    // A loader with an epoch under way, and one that never started.
    loader.start(train_plan(5, 4)).unwrap();
    drop(loader);
    drop(Loader::new(set, 3, OnBadImage::Fail).unwrap());
}

#[test]
fn a_bad_image_ends_the_epoch_by_name() {
    struct Case {
        name: &'static str,
        spoil: fn(&Path),
        expected: &'static str,
    }
    let cases = [
        Case {
            name: "a GIF by the name of a JPEG",
            spoil: |path| fs::write(path, b"GIF89a").unwrap(),
            expected: "expected a JPEG or PNG image, got a GIF",
        },
        Case {
            name: "empty",
            spoil: |path| fs::write(path, b"").unwrap(),
            expected: "expected a JPEG or PNG image, got an empty file",
        },
        Case {
            name: "gone",
            spoil: |path| fs::remove_file(path).unwrap(),
            expected: "expected to read an image, got nothing there: it has vanished since the images were listed",
        },
        Case {
            name: "a folder in its place",
            spoil: |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
            expected: "expected to read it, got: no regular file",
        },
        Case {
            name: "a header of 65535 x 65535 pixels",
            spoil: |path| {
                let mut bytes = fs::read(path).unwrap();
                let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
                bytes[frame + 5..frame + 9].fill(0xff);
                fs::write(path, bytes).unwrap();
            },
            expected: "expected at most 178956970 pixels, got an image of 65535 x 65535",
        },
    ];
    for case in cases {
        let (_dir, set) = photos();
        let path = set.path(17);
        (case.spoil)(&path);
        // A later bad image of the same batch must not be named instead, whatever the order of
        // work.
        (case.spoil)(&set.path(19));
        for workers in [1, 4] {
            let mut loader = Loader::new(Arc::clone(&set), workers, OnBadImage::Fail).unwrap();
            let plan = BatchPlan::validation(IMAGES, Share::ALL, 10, 32).unwrap();
            let mut epoch = loader.start(plan).unwrap();
            assert!(epoch.next().unwrap().is_some(), "{}", case.name);
            let Err(error) = epoch.next() else {
                panic!("{}: no error", case.name);
            };
            assert_eq!(error.to_string(), format!("{}: {}", path.display(), case.expected));
            assert!(epoch.next().unwrap().is_none());
            drop(epoch);
            // Batches without the bad image still come.
            let plan = BatchPlan::validation(10, Share::ALL, 10, 32).unwrap();
            assert_eq!(run(&mut loader, plan).unwrap().len(), 1);
        }
    }
}

#[test]
fn plans_for_other_sets_are_refused() {
    let (_dir, set) = photos();
    let mut loader = Loader::new(set, 1, OnBadImage::Fail).unwrap();
    let plan = BatchPlan::validation(IMAGES + 1, Share::ALL, 10, 32).unwrap();
    let Err(error) = loader.start(plan) else {
        panic!("no error");
    };
    assert_eq!(error.to_string(), "expected a plan for at most 60 images, got one that holds image 60");
    assert_eq!(Share::new(2, 2).unwrap_err(), PlanError::Share { rank: 2, world: 2 });
}

/// The images that were bad, batch by batch.
fn run_skipping(loader: &mut Loader, plan: BatchPlan) -> (Vec<Owned>, Vec<Vec<u32>>) {
    let mut epoch = loader.start(plan).unwrap();
    let (mut all, mut bad) = (Vec::new(), Vec::new());
    while let Some(batch) = epoch.next().unwrap() {
        bad.push(batch.bad().iter().map(|bad| bad.image).collect());
        all.push(Owned::from(&batch));
    }
    (all, bad)
}

#[test]
fn a_bad_image_is_replaced_in_training_whatever_the_workers_and_wherever_the_epoch_is_taken_up() {
    let (_dir, set) = photos();
    fs::write(set.path(17), b"GIF89a").unwrap();
    fs::remove_file(set.path(40)).unwrap();
    let mut one = Loader::new(Arc::clone(&set), 1, OnBadImage::Skip).unwrap();
    let expected = run_skipping(&mut one, train_plan(0, 16));
    let (batches, bad) = &expected;
    assert!(batches.iter().all(|batch| batch.labels.len() == batch.images.len()), "a batch is not full");
    let mut named: Vec<u32> = bad.concat();
    named.sort_unstable();
    named.dedup();
    assert_eq!(named, [17, 40]);
    for workers in [2, 5] {
        let mut many = Loader::new(Arc::clone(&set), workers, OnBadImage::Skip).unwrap();
        assert!(run_skipping(&mut many, train_plan(0, 16)) == expected, "{workers} workers");
        let (rest, _) = run_skipping(&mut many, train_plan(0, 16).select(2..usize::MAX));
        assert!(rest == batches[2..], "{workers} workers, taken up");
    }
    // An image of the set, with its own label, takes the bad image's place.
    let good = |batch: &Owned| batch.pixels.chunks(batch.size.bytes()).all(|pixels| pixels.iter().any(|&p| p != 0));
    assert!(batches.iter().all(good));
}

#[test]
fn a_bad_image_is_left_out_in_validation() {
    let (_dir, set) = photos();
    let plan = || BatchPlan::validation(IMAGES, Share::ALL, 10, 32).unwrap();
    let mut loader = Loader::new(Arc::clone(&set), 3, OnBadImage::Skip).unwrap();
    let (whole, _) = run_skipping(&mut loader, plan());
    fs::write(set.path(11), b"").unwrap();
    fs::write(set.path(13), b"\xff\xd8\xff\xe0").unwrap();
    (50..60).for_each(|image| fs::remove_file(set.path(image)).unwrap());
    for _ in 0..2 {
        let (batches, bad) = run_skipping(&mut loader, plan());
        assert_eq!((&bad[0], &bad[1]), (&vec![], &vec![11, 13]));
        let bytes = batches[1].size.bytes();
        let kept: Vec<u8> = [10, 12, 14, 15, 16, 17, 18, 19]
            .iter()
            .flat_map(|image| whole[1].pixels[(image - 10) * bytes..][..bytes].to_vec())
            .collect();
        assert!(batches[1].pixels == kept && batches[1].labels.len() == 8);
        // One batch has nothing left. The batches beside it are whole.
        assert_eq!((batches[5].labels.len(), batches[5].pixels.len(), bad[5].len()), (0, 0, 10));
        assert!(batches[2..5] == whole[2..5]);
    }
}

#[test]
fn a_pipe_by_an_images_name_is_not_waited_for() {
    let (_dir, set) = photos();
    fs::remove_file(set.path(3)).unwrap();
    mkfifoat(CWD, set.path(3), Mode::RUSR | Mode::WUSR).unwrap();
    assert_eq!(set.sizes(NonZeroUsize::MIN).iter().filter(|size| size.is_err()).count(), 1);
    let mut loader = Loader::new(Arc::clone(&set), 1, OnBadImage::Skip).unwrap();
    let (_, bad) = run_skipping(&mut loader, BatchPlan::validation(IMAGES, Share::ALL, 60, 32).unwrap());
    assert_eq!(bad, [[3]]);
    // A device without an end must not fill the memory.
    fs::remove_file(set.path(3)).unwrap();
    std::os::unix::fs::symlink("/dev/zero", set.path(3)).unwrap();
    let (_, bad) = run_skipping(&mut loader, BatchPlan::validation(IMAGES, Share::ALL, 60, 32).unwrap());
    assert_eq!(bad, [[3]]);
}

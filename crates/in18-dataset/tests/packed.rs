//! Shards: what is prepared is what is read, every changed bit is found, and other programs'
//! archives are understood.

use std::fs;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;

use in18_dataset::{
    DataRoot, Error, Half, ImageReader, ImageSet, Index, Location, OpenOptions, Preparation, PrepareOptions, Prepared,
    PreparedFormat,
};
use in18_image::{Decoder, Rgb8Image, Size};
use tempfile::TempDir;

const THREADS: NonZeroUsize = NonZeroUsize::new(3).unwrap();

/// A small JPEG; `shade` makes it differ from others.
fn jpeg(width: u16, height: u16, shade: usize) -> Vec<u8> {
    let pixels: Vec<u8> =
        (0..usize::from(width) * usize::from(height) * 3).map(|k| (k * 7 / 3 + shade * 31) as u8).collect();
    let mut file = Vec::new();
    jpeg_encoder::Encoder::new(&mut file, 90).encode(&pixels, width, height, jpeg_encoder::ColorType::Rgb).unwrap();
    file
}

/// Class folders `train` of two classes of `images` JPEGs each.
fn photos(images: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (class, name) in ["cat", "dog"].iter().enumerate() {
        let class_folder = folder.path().join("train").join(name);
        fs::create_dir_all(&class_folder).unwrap();
        for image in 0..images {
            let file = jpeg(40 + image as u16 % 7 * 4, 48, class * images + image);
            fs::write(class_folder.join(format!("photo.{image:03}.JPEG")), file).unwrap();
        }
    }
    folder
}

/// Prepares `from/train` in shards of five images, at most `most` images in this call.
fn prepare(from: &Path, to: &Path, sizes: &[&str], most: usize) {
    let set = ImageSet::open(from.join("train")).unwrap();
    let options = PrepareOptions {
        sizes: sizes.iter().map(|size| size.parse().unwrap()).collect(),
        quality: 90,
        format: PreparedFormat::Shards(NonZeroUsize::new(5).unwrap()),
    };
    let preparation = Preparation::new(&set, &DataRoot::new(to), Half::Train, options).unwrap();
    let mut done = 0;
    preparation
        .run(THREADS, &mut |prepared| {
            assert!(!matches!(prepared, Prepared::Bad(_)), "{prepared:?}");
            done += 1;
            done < most
        })
        .unwrap();
}

fn bytes(set: &ImageSet, image: usize) -> Vec<u8> {
    ImageReader::default().read(set, image).unwrap().to_owned()
}

fn pixels(set: &ImageSet, image: usize) -> Rgb8Image {
    let mut pixels = Rgb8Image::new();
    Decoder::new().decode(&bytes(set, image), &mut pixels).unwrap();
    pixels
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    found.sort();
    found
}

/// A tar archive.
fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, *content).unwrap();
    }
    archive.into_inner().unwrap()
}

fn labels(set: &ImageSet) -> Vec<usize> {
    (0..set.len()).map(|image| set.label(image)).collect()
}

#[test]
fn shards_hold_the_source_in_its_order() {
    let folder = photos(9);
    let to = folder.path().join("packed");
    prepare(folder.path(), &to, &["32", "full"], usize::MAX);
    let source = ImageSet::open(folder.path().join("train")).unwrap();
    let full = ImageSet::open(to.join("train")).unwrap();
    assert_eq!((full.classes(), labels(&full)), (source.classes(), labels(&source)));
    assert_eq!((full.class_len(0), full.class_len(1)), (9, 9));
    let sizes = |set: &ImageSet| set.sizes(THREADS).into_iter().map(Result::unwrap).collect::<Vec<Size>>();
    assert_eq!(sizes(&full), sizes(&source));
    for image in 0..source.len() {
        // Not the same file, but the same pixels; and a restart interval (DRI) of two MCUs.
        assert!(pixels(&full, image) == pixels(&source, image), "image {image}");
        assert!(bytes(&full, image).windows(6).any(|bytes| bytes == [0xff, 0xdd, 0, 4, 0, 2]));
    }
    // Chance mixes classes within shards.
    let in_first = |image: &usize| full.path(*image).to_str().unwrap().contains("000000.tar");
    let mixed: Vec<usize> = (0..full.len()).filter(in_first).map(|image| full.label(image)).collect();
    assert!(mixed.len() == 5 && mixed.contains(&0) && mixed.contains(&1), "{mixed:?}");
    let path = full.path(3).to_str().unwrap().replace(folder.path().to_str().unwrap(), "");
    assert!(path.starts_with("/packed/train/00000") && path.ends_with(".tar/cat/00000003-photo_003.jpg"), "{path}");

    let small = ImageSet::open(folder.path().join("packed-sz/32/train")).unwrap();
    assert!(sizes(&small).iter().all(|size| size.width.min(size.height) == 32));
    assert!(small.verify(THREADS).is_empty() && full.verify(THREADS).is_empty());
    // Prepared from shards in place of folders, it is the same.
    prepare(&to, &folder.path().join("again"), &["32"], usize::MAX);
    assert_eq!(files(small.root()).len(), files(&folder.path().join("again-sz/32/train")).len());
}

#[test]
fn an_interrupted_preparation_continues_to_the_same_bytes() {
    let folder = photos(9);
    prepare(folder.path(), &folder.path().join("whole"), &["32", "full"], usize::MAX);
    for most in [1, 5, 6, 12, 18] {
        let to = folder.path().join(format!("parts{most}"));
        for _ in 0..20 {
            prepare(folder.path(), &to, &["32", "full"], most);
        }
        if most < 5 {
            assert!(Index::parse(&fs::read(to.join("train/index.tsv")).unwrap_or_default()).is_err());
        }
        prepare(folder.path(), &to, &["32", "full"], usize::MAX);
        for end in ["/train", "-sz/32/train"] {
            let of = |name: &str| files(Path::new(&format!("{}{end}", folder.path().join(name).display())));
            assert!(of(&format!("parts{most}")) == of("whole"), "{most} {end}");
        }
    }
}

#[test]
fn every_flipped_bit_is_found_and_its_image_named() {
    let folder = photos(9);
    let to = folder.path().join("packed");
    prepare(folder.path(), &to, &["full"], usize::MAX);
    let root = to.join("train");
    let set = ImageSet::open(&root).unwrap();
    let index = Index::parse(&fs::read(root.join("index.tsv")).unwrap()).unwrap();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut around = 0;
    for round in 0..200 {
        // Xorshift (Marsaglia 2003).
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let shard = random as usize % index.shards.len();
        let path = root.join(&index.shards[shard].name);
        let intact = fs::read(&path).unwrap();
        let bit = (random >> 8) as usize % (intact.len() * 8);
        let mut damaged = intact.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, damaged).unwrap();
        // The image whose header, label, bytes or padding it is; behind the last one, that.
        let ours = |image: &usize| index.images[*image].shard as usize == shard;
        let padded_end = |image: usize| index.images[image].end().unwrap().next_multiple_of(512);
        let mut inside: Vec<usize> = (0..index.images.len()).filter(ours).collect();
        inside.sort_by_key(|&image| padded_end(image));
        let hit = inside.iter().copied().find(|&image| (bit as u64 / 8) < padded_end(image));
        let hit = hit.unwrap_or(*inside.last().unwrap());
        let found = set.verify(THREADS);
        assert_eq!(found.len(), 1, "round {round}");
        let said = found[0].to_string();
        assert!(said.starts_with(set.path(hit).to_str().unwrap()), "{said}");
        around += usize::from(matches!(found[0], Error::Around { .. }));
        fs::write(&path, intact).unwrap();
    }
    assert!(set.verify(THREADS).is_empty());
    assert!((20..180).contains(&around), "{around} of 200 bits were in no image");
}

#[test]
fn shards_that_do_not_fit_their_index_are_named() {
    let folder = photos(9);
    let to = folder.path().join("packed");
    prepare(folder.path(), &to, &["full"], usize::MAX);
    let root = to.join("train");
    let open = || ImageSet::open(&root).map_err(|error| error.to_string().replace(root.to_str().unwrap(), "SET"));
    let set = open().unwrap();
    let second = root.join("000001.tar");
    let intact = fs::read(&second).unwrap();

    // Cut short under a process that reads it: an error for each image, not an end of everything.
    let (kept, file) = (intact.len() / 2, fs::File::options().write(true).open(&second).unwrap());
    file.set_len(kept as u64).unwrap();
    let results: Vec<Result<(), Error>> =
        (0..set.len()).map(|image| ImageReader::default().read(&set, image).map(|_| ())).collect();
    let errors: Vec<String> = results.iter().filter_map(|r| r.as_ref().err().map(ToString::to_string)).collect();
    assert!((1..5).contains(&errors.len()), "{errors:?}");
    assert!(
        errors.iter().all(|e| e.contains("/000001.tar/") && e.contains("got: the shard's end before byte")),
        "{errors:?}"
    );
    let found = set.verify(THREADS);
    assert!(found.len() >= errors.len() && found.iter().all(|e| e.to_string().contains("/000001.tar/")), "{found:?}");

    let said = open().unwrap_err();
    assert!(said.starts_with("SET: expected the shards of its index, got 000001.tar of "), "{said}");
    fs::remove_file(&second).unwrap();
    assert!(open().unwrap_err().contains("got no 000001.tar: copy them anew"));
    fs::write(&second, &intact).unwrap();
    let set = open().unwrap();
    // Another shard of the same length.
    let mut other = intact.clone();
    other.reverse();
    fs::write(&second, &other).unwrap();
    let error = (0..set.len()).find_map(|image| ImageReader::default().read(&set, image).err()).unwrap();
    assert!(matches!(error, Error::Changed { .. }), "{error}");
    fs::write(&second, &intact).unwrap();

    let index = root.join("index.tsv");
    let mut text = fs::read(&index).unwrap();
    text.truncate(text.len() / 2);
    fs::write(&index, text).unwrap();
    let said = open().unwrap_err();
    assert!(said.contains("SET/index.tsv, line ") && said.contains("expected a last line with the checksum"), "{said}");
}

#[test]
fn webdatasets_shards_need_no_index() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b, c) = (jpeg(40, 48, 0), jpeg(48, 40, 1), jpeg(44, 44, 2));
    let first = tar(&[
        ("./0001.cls", b"2\n"),
        ("./0001.jpg", &a),
        ("./0001.json", b"{}"),
        ("./0002.jpeg", &b),
        ("./0002.cls", b"0"),
    ]);
    let second =
        tar(&[("0003.PNG.jpg", &c), ("0003.cls", b" 1 "), ("readme.txt", b"no sample"), ("._0004.jpg", b"fork")]);
    fs::write(folder.path().join("shard-0.tar"), &first).unwrap();
    fs::write(folder.path().join("shard-1.tar"), &second).unwrap();
    let set = ImageSet::open(folder.path()).unwrap();
    assert_eq!((set.classes(), labels(&set)), (&["0", "1", "2"].map(str::to_owned)[..], vec![2, 0, 1]));
    assert!(bytes(&set, 0) == a && bytes(&set, 1) == b && bytes(&set, 2) == c);
    assert_eq!(set.sizes(THREADS)[1].as_ref().unwrap(), &Size::new(48, 40));
    assert!(set.verify(THREADS).is_empty());

    // The list is kept, and made again when a shard changes.
    let kept = folder.path().join(".index.tsv");
    let before = fs::read(&kept).unwrap();
    assert_eq!(ImageSet::open(folder.path()).unwrap().len(), 3);
    assert_eq!(fs::read(&kept).unwrap(), before);
    fs::write(folder.path().join("shard-1.tar"), &first).unwrap();
    assert_eq!(labels(&ImageSet::open(folder.path()).unwrap()), [2, 0, 2, 0]);
    assert_ne!(fs::read(&kept).unwrap(), before);
    fs::write(&kept, "rubbish").unwrap();
    assert_eq!(ImageSet::open(folder.path()).unwrap().len(), 4);

    let cache = folder.path().join("cache");
    let options = OpenOptions { cache: Some(cache.clone()), ..OpenOptions::default() };
    fs::create_dir(folder.path().join("set")).unwrap();
    fs::write(folder.path().join("set/train-0.tar"), &first).unwrap();
    fs::write(folder.path().join("set/val-0.tar"), tar(&[("0.cls", b"1"), ("0.jpg", &a)])).unwrap();
    let root = DataRoot::new(folder.path().join("set"));
    let halves = [root.train("").unwrap(), root.validation("").unwrap()];
    assert_eq!(halves[0], Location { folder: folder.path().join("set"), half: Some(Half::Train) });
    let sets = halves.map(|place| ImageSet::open_with(place, &options).unwrap());
    assert_eq!((sets[0].len(), sets[1].len()), (2, 1));
    assert_eq!((files(&cache).len(), files(&folder.path().join("set")).len()), (2, 2));
}

#[test]
fn archives_that_say_no_labels_are_named_after_their_class_or_have_a_list() {
    let folder = tempfile::tempdir().unwrap();
    let photos: Vec<Vec<u8>> = (0..4).map(|shade| jpeg(40, 40, shade)).collect();
    let inner = |images: &[(&str, usize)]| {
        let members: Vec<(&str, &[u8])> = images.iter().map(|(name, photo)| (*name, &photos[*photo][..])).collect();
        tar(&members)
    };
    let (cats, dogs) = (inner(&[("n01_9.JPEG", 0), ("n01_10.JPEG", 1)]), inner(&[("n02_1.JPEG", 2)]));
    fs::write(folder.path().join("ILSVRC2012_img_train.tar"), tar(&[("n02.tar", &dogs), ("n01.tar", &cats)])).unwrap();
    let validation = inner(&[("ILSVRC2012_val_00000001.JPEG", 3), ("ILSVRC2012_val_00000002.JPEG", 0)]);
    fs::write(folder.path().join("ILSVRC2012_img_val.tar"), validation).unwrap();
    let root = DataRoot::new(folder.path());
    let train = ImageSet::open(root.train("").unwrap()).unwrap();
    assert_eq!((train.classes(), labels(&train)), (&["n01", "n02"].map(str::to_owned)[..], vec![0, 0, 1]));
    // In the order that they would have when unpacked into folders.
    for (image, photo) in [1, 0, 2].into_iter().enumerate() {
        assert!(bytes(&train, image) == photos[photo]);
    }

    let open = |options: &OpenOptions| ImageSet::open_with(root.validation("").unwrap(), options);
    let said = open(&OpenOptions::default()).unwrap_err().to_string();
    assert!(said.contains("--ground-truth") && said.contains("ILSVRC2012_img_val.tar: expected a .cls"), "{said}");
    let list = folder.path().join("labels.txt");
    fs::write(&list, "n02\nn01\n").unwrap();
    let given = OpenOptions { ground_truth: Some(list.clone()), ..OpenOptions::default() };
    let set = open(&given).unwrap();
    assert_eq!((set.classes(), labels(&set)), (train.classes(), vec![0, 1]));
    assert!(bytes(&set, 1) == photos[3]);
    fs::rename(&list, folder.path().join("imagenet_2012_validation_synset_labels.txt")).unwrap();
    assert_eq!(labels(&open(&OpenOptions::default()).unwrap()), [0, 1]);

    // The archives that a training archive consists of.
    let classes = folder.path().join("classes");
    fs::create_dir(&classes).unwrap();
    fs::write(classes.join("n01.tar"), cats).unwrap();
    fs::write(classes.join("n02.tar"), dogs).unwrap();
    assert_eq!(labels(&ImageSet::open(&classes).unwrap()), [0, 0, 1]);
}

#[test]
fn archives_that_are_none_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let photo = jpeg(40, 40, 0);
    let whole = tar(&[("1.cls", b"0"), ("1.jpg", &photo), ("2.cls", b"1"), ("2.jpg", &photo)]);
    let said = |content: &[u8]| {
        let mut file = fs::File::create(folder.path().join("a.tar")).unwrap();
        file.write_all(content).unwrap();
        let error = ImageSet::open(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with(folder.path().to_str().unwrap()) && !error.contains('\n'), "{error}");
        error
    };
    assert!(said(&whole[..whole.len() - 1024 - 600]).contains("a.tar: expected a whole tar archive"));
    assert!(said(&[7; 2000]).contains("a.tar: expected a whole tar archive"));
    assert!(said(b"").contains("expected images (.jpg, .jpeg, .png), got none in 1 tar files"));
    assert!(
        said(&tar(&[("1.cls", b"one"), ("1.jpg", &photo), ("2.cls", b"1"), ("2.jpg", &photo)]))
            .contains("1 numbers and 1 names")
    );
    assert!(said(&tar(&[("1.cls", &[b'x'; 300]), ("1.jpg", &photo)])).contains("1.cls, which is no label"));
}

#[test]
fn what_was_left_out_is_told_again_and_what_is_unfinished_is_refused() {
    let folder = photos(9);
    let bad = folder.path().join("train/cat/photo.003.JPEG");
    fs::write(&bad, b"GIF89a").unwrap();
    let to = folder.path().join("packed");
    let set = ImageSet::open(folder.path().join("train")).unwrap();
    let options = PrepareOptions {
        sizes: vec!["full".parse().unwrap()],
        quality: 90,
        format: PreparedFormat::Shards(NonZeroUsize::new(5).unwrap()),
    };
    let run = |most: usize| {
        let preparation = Preparation::new(&set, &DataRoot::new(&to), Half::Train, options.clone()).unwrap();
        let mut done = Vec::new();
        let result = preparation.run(THREADS, &mut |prepared| {
            done.push(prepared);
            done.len() < most
        });
        result.map(|()| done).map_err(|error| error.to_string())
    };
    let lines = |done: &[Prepared]| -> Vec<String> {
        done.iter().filter_map(|p| if let Prepared::Bad(line) = p { Some(line.clone()) } else { None }).collect()
    };
    run(12).unwrap();
    let said = ImageSet::open(to.join("train")).unwrap_err().to_string();
    assert!(said.ends_with("got an unfinished preparation: run `imagenet18 data prepare` again"), "{said}");
    for _ in 0..3 {
        let done = run(usize::MAX).unwrap();
        assert_eq!((done.len(), lines(&done).len()), (18, 1));
        assert!(lines(&done)[0].starts_with(bad.to_str().unwrap()), "{done:?}");
    }
    assert_eq!(ImageSet::open(to.join("train")).unwrap().len(), 17);

    // A damaged one is not taken for a whole one.
    let shard = to.join("train/000001.tar");
    let bytes = fs::read(&shard).unwrap();
    fs::write(&shard, &bytes[1..]).unwrap();
    let said = run(usize::MAX).unwrap_err();
    assert!(said.contains("000001.tar of ") && said.ends_with(": remove the folder"), "{said}");
    // A copy in the source itself would be read as a part of it.
    let inside = Preparation::new(&set, &DataRoot::new(folder.path()), Half::Train, options.clone());
    assert!(inside.unwrap_err().to_string().contains("outside of the source"));
}

#[test]
fn archives_with_odd_names_and_labels_lose_no_image() {
    let folder = tempfile::tempdir().unwrap();
    let photos: Vec<Vec<u8>> = (0..4).map(|shade| jpeg(40, 40, shade)).collect();
    let set_of = |name: &str, archives: &[Vec<u8>]| {
        let path = folder.path().join(name);
        fs::create_dir_all(&path).unwrap();
        archives
            .iter()
            .enumerate()
            .for_each(|(n, archive)| fs::write(path.join(format!("s{n}.tar")), archive).unwrap());
        ImageSet::open(&path).map_err(|error| error.to_string())
    };
    // The same names in two archives; a mask beside an image.
    let one = tar(&[("a.cls", b"cat"), ("a.mask.png", &photos[3]), ("a.jpg", &photos[0])]);
    let other = tar(&[("a.cls", b"cat"), ("a.jpg", &photos[1]), ("b.jpg", &photos[2]), ("b.cls", b"../dog")]);
    let set = set_of("labelled", &[one.clone(), other]).unwrap();
    assert_eq!((set.len(), set.classes()), (3, &["../dog", "cat"].map(str::to_owned)[..]));
    let cats: Vec<usize> = (0..3).filter(|&image| set.label(image) == 1).collect();
    assert!(bytes(&set, cats[0]) == photos[0] && bytes(&set, cats[1]) == photos[1]);
    let to = DataRoot::new(folder.path().join("prepared"));
    let sizes = vec!["full".parse().unwrap()];
    let options = PrepareOptions { sizes, quality: 90, format: PreparedFormat::Folders };
    Preparation::new(&set, &to, Half::Train, options).unwrap().run(THREADS, &mut |_| true).unwrap();
    let copy = ImageSet::open(to.train("").unwrap()).unwrap();
    assert_eq!((copy.len(), copy.classes()), (3, &["___dog-0", "cat"].map(str::to_owned)[..]));

    // One label is missing: that is named, and no class made up.
    let said = set_of("missing", &[one, tar(&[("c.jpg", &photos[0])])]).unwrap_err();
    assert!(
        said.contains("s1.tar: expected a .cls file beside every image") && said.contains("none for c.jpg"),
        "{said}"
    );
    // Without labels each image counts.
    let twins = tar(&[("p.1.jpg", &photos[0]), ("p.2.jpg", &photos[1]), ("q.png", &photos[2])]);
    assert_eq!(set_of("classes", &[twins.clone(), twins]).unwrap().len(), 6);
}

#[test]
fn other_labels_are_another_set() {
    let folder = tempfile::tempdir().unwrap();
    let photo = jpeg(40, 40, 0);
    let images = tar(&[("ILSVRC2012_val_00000001.JPEG", &photo), ("ILSVRC2012_val_00000002.JPEG", &photo)]);
    fs::write(folder.path().join("val.tar"), images).unwrap();
    let fingerprint = |labels: &str| {
        let list = folder.path().join("labels.txt");
        fs::write(&list, labels).unwrap();
        let options = OpenOptions { ground_truth: Some(list), ..OpenOptions::default() };
        ImageSet::open_with(folder.path(), &options).unwrap().fingerprint()
    };
    assert_eq!(fingerprint("n01\nn02\n"), fingerprint("n01\nn02\n"));
    assert_ne!(fingerprint("n01\nn02\n"), fingerprint("n02\nn01\n"));
}

//! Class folders on a real file system.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use in18_dataset::{DataRoot, Error, ImageSet, Location, check_same_classes};
use in18_image::Size;
use tempfile::TempDir;

/// Creates files (their folders with them); a name that ends in a slash is an empty folder.
fn tree(paths: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for path in paths {
        let full = dir.path().join(path);
        if path.ends_with('/') {
            fs::create_dir_all(full).unwrap();
        } else {
            fs::create_dir_all(full.parent().unwrap()).unwrap();
            fs::write(full, b"").unwrap();
        }
    }
    dir
}

/// The start of a JPEG of a given size, after an application segment of `padding` bytes.
fn jpeg_header(width: u16, height: u16, padding: u16) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xe1];
    bytes.extend((padding + 2).to_be_bytes());
    bytes.extend(vec![0; usize::from(padding)]);
    bytes.extend([0xff, 0xc0, 0, 11, 8]);
    bytes.extend(height.to_be_bytes());
    bytes.extend(width.to_be_bytes());
    bytes.extend([1, 1, 0x11, 0]);
    bytes
}

fn message(error: &Error, dir: &Path) -> String {
    error.to_string().replace(&dir.display().to_string(), "DIR")
}

#[test]
fn images_come_in_torchvisions_order() {
    let dir = tree(&[
        "b/2.JPEG",
        "b/10.JPEG",
        "a/z.txt",
        "a/sub/x.png",
        "a/sub-1/y.png",
        "a/sub/deeper/w.png",
        "a/.hidden",
        "C/1",
        ".git/config",
        "readme.txt",
    ]);
    let set = ImageSet::open(dir.path()).unwrap();
    assert_eq!(set.classes(), ["C", "a", "b"]);
    let got: Vec<(String, usize)> = (0..set.len())
        .map(|i| {
            let path = set.path(i);
            let relative = path.strip_prefix(dir.path()).unwrap();
            (relative.to_str().unwrap().to_owned(), set.label(i))
        })
        .collect();
    // As `sorted(os.walk(…))` orders them: "-" is before "/".
    let expected = [
        ("C/1", 0),
        ("a/z.txt", 1),
        ("a/sub/x.png", 1),
        ("a/sub-1/y.png", 1),
        ("a/sub/deeper/w.png", 1),
        ("b/10.JPEG", 2),
        ("b/2.JPEG", 2),
    ];
    let expected: Vec<(String, usize)> = expected.iter().map(|&(p, l)| (p.to_owned(), l)).collect();
    assert_eq!(got, expected);
    assert_eq!((set.class_len(0), set.class_len(1), set.class_len(2)), (1, 4, 2));
}

#[test]
fn suffixes_append_to_the_path_as_text() {
    let dir = tree(&["imagenet-sz/160/train/", "imagenet-sz/160/validation/", "imagenet/train/", "imagenet/val/"]);
    for data in ["imagenet", "imagenet/"] {
        let root = DataRoot::new(dir.path().join(data));
        let small = dir.path().join("imagenet-sz/160");
        assert_eq!(root.train("-sz/160").unwrap(), Location::from(small.join("train")));
        assert_eq!(root.validation("-sz/160").unwrap(), Location::from(small.join("validation")));
        assert_eq!(root.validation("").unwrap(), Location::from(dir.path().join("imagenet/val")));
    }
}

#[test]
fn bad_folders_are_named() {
    struct Case {
        name: &'static str,
        files: &'static [&'static str],
        data: &'static str,
        expected: &'static str,
    }
    let cases = [
        Case {
            name: "missing",
            files: &[],
            data: "nowhere",
            expected: "DIR/nowhere: expected a folder with train/CLASS/* and validation/CLASS/* or val/CLASS/*, got nothing \
                       there: check the data path and the phase's trndir and valdir, which are appended to it",
        },
        Case {
            name: "a file",
            files: &["data.tar"],
            data: "data.tar",
            expected: "DIR/data.tar: expected a folder, got a file: give the folder that holds it",
        },
        Case {
            name: "no split",
            files: &["data/test/a/1", "data/images/b/1"],
            data: "data",
            expected: "DIR/data: expected train/CLASS/* or archives with `train` in their names in it, got the folders images, test: move the images there, or change \
                       the data path",
        },
        Case {
            name: "empty",
            files: &["data/"],
            data: "data",
            expected: "DIR/data: expected train/CLASS/* or archives with `train` in their names in it, got an empty folder: move the images there, or change the data path",
        },
        Case {
            name: "no classes",
            files: &["data/train/1.jpg", "data/train/2.jpg"],
            data: "data",
            expected: "DIR/data/train: expected a folder for each class, got 2 files and no folder: put the images of each class \
                       into a folder of its own",
        },
        Case {
            name: "empty classes",
            files: &["data/train/a/", "data/train/b/1", "data/train/c/.hidden"],
            data: "data",
            expected: "DIR/data/train: expected images in every class folder, got none in a, c: add images or remove the folders",
        },
    ];
    for case in cases {
        let dir = tree(case.files);
        let root = DataRoot::new(dir.path().join(case.data));
        let error = root.train("").and_then(ImageSet::open).expect_err(case.name);
        assert_eq!(message(&error, dir.path()), case.expected, "{}", case.name);
    }
}

#[test]
fn classes_must_agree() {
    let dir = tree(&["train/a/1", "train/b/1", "train/c/1", "val/b/1", "val/d/1"]);
    let train = ImageSet::open(dir.path().join("train")).unwrap();
    let validation = ImageSet::open(dir.path().join("val")).unwrap();
    let error = check_same_classes(&train, &validation).unwrap_err();
    assert_eq!(
        message(&error, dir.path()),
        "expected the same class folders in DIR/train and DIR/val, got a, c only in the first and d only in the second: \
         rename, add or remove folders until they agree"
    );
    check_same_classes(&train, &train).unwrap();
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_circles_end() {
    let dir = tree(&["set/a/1", "elsewhere/x"]);
    let link = |to: &str, from: &str| {
        std::os::unix::fs::symlink(dir.path().join(to), dir.path().join(from)).unwrap();
    };
    link("elsewhere", "set/b");
    link("nowhere", "set/a/2");
    let set = ImageSet::open(dir.path().join("set")).unwrap();
    assert_eq!(set.classes(), ["a", "b"]);
    assert_eq!(set.len(), 3);
    link("set/a", "set/a/again");
    let error = ImageSet::open(dir.path().join("set")).unwrap_err();
    assert!(matches!(error, Error::TooDeep { .. } | Error::Unreadable { .. }), "{error}");
}

#[test]
fn sizes_come_from_headers_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for i in 0..150_u16 {
        let class = dir.path().join(format!("c{}", i / 50));
        fs::create_dir_all(&class).unwrap();
        // Some headers end only after the first read, or the second.
        let padding = [0, 5000, 60_000][usize::from(i) % 3];
        fs::write(class.join(format!("{i:03}")), jpeg_header(i + 1, 2 * i + 1, padding)).unwrap();
        expected.push(Size::new(u32::from(i) + 1, 2 * u32::from(i) + 1));
    }
    let set = ImageSet::open(dir.path()).unwrap();
    for threads in [1, 2, 7] {
        let threads = NonZeroUsize::new(threads).unwrap();
        let sizes: Vec<Size> = set.sizes(threads).into_iter().map(Result::unwrap).collect();
        assert_eq!(sizes, expected);
    }
    fs::write(dir.path().join("c2/120"), b"GIF89a").unwrap();
    fs::write(dir.path().join("c1/070"), &jpeg_header(3, 3, 9000)[..8000]).unwrap();
    fs::remove_file(dir.path().join("c0/007")).unwrap();
    fs::remove_file(dir.path().join("c0/009")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", dir.path().join("c0/009")).unwrap();
    let sizes = set.sizes(NonZeroUsize::new(3).unwrap());
    let bad: Vec<(usize, String)> = sizes
        .iter()
        .enumerate()
        .filter_map(|(image, size)| Some((image, message(size.as_ref().err()?, dir.path()))))
        .collect();
    let says = [
        "DIR/c0/007: expected to read an image, got nothing there: it has vanished since the images were listed",
        "DIR/c0/009: expected to read it, got: no regular file",
        "DIR/c1/070: expected a whole JPEG image, got one cut short after 8000 bytes",
        "DIR/c2/120: expected a JPEG or PNG image, got a GIF",
    ];
    assert_eq!(bad, [7, 9, 70, 120].into_iter().zip(says.map(str::to_owned)).collect::<Vec<_>>());
}

#[test]
fn only_names_and_classes_change_a_fingerprint() {
    let fingerprint = |images: &[&str]| {
        let folder = tree(images);
        ImageSet::open(folder.path()).unwrap().fingerprint()
    };
    let images = ["a/1.jpg", "a/2.jpg", "b/1.jpg"];
    let first = fingerprint(&images);
    // As after a move: each call makes a folder of another name.
    assert_eq!(first, fingerprint(&images));
    for (name, others) in [
        ("fewer", &["a/1.jpg", "b/1.jpg"][..]),
        ("renamed", &["a/1.jpg", "a/3.jpg", "b/1.jpg"]),
        ("another class", &["a/1.jpg", "a/2.jpg", "c/1.jpg"]),
    ] {
        assert_ne!(first, fingerprint(others), "{name}");
    }
}

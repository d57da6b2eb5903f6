//! Correct but rare JPEGs: samplings, colours, scans, restarts, tables.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::OddFile;
use super::huffman::Codes;
use super::jpeg::{APP14, DNL, DQT, Jpeg, SOF0, SOF1, SOF2, SOF3, all, baseline, begun, with};
use super::picture::Picture;
use super::scan::{Bits, Scan, Tables, size};
use crate::images::class_image;

/// The files of this kind.
pub fn files() -> Vec<OddFile> {
    [samplings(), sizes(), colours(), scans(), progressive(), restarts(), tables(), vec![lossless()]].concat()
}

/// A picture with three components, whose chroma has half the size (4:2:0).
pub fn picture_420() -> Picture {
    Picture::new("420", 43, 37, &[(2, 2), (1, 1), (1, 1)])
}

fn file(name: impl AsRef<str>, bytes: Vec<u8>) -> OddFile {
    OddFile::new(format!("{}.jpg", name.as_ref()), bytes)
}

/// Pictures named by the digits of each component's sampling factors: 22-11-11 is 4:2:0.
fn samplings() -> Vec<OddFile> {
    const CASES: [&str; 38] = [
        "11-11-11",
        "21-11-11",
        "12-11-11",
        "22-11-11",
        "41-11-11",
        "14-11-11",
        "42-11-11",
        "24-11-11",
        "31-11-11",
        "13-11-11",
        "32-11-11",
        "22-21-21",
        "22-12-12",
        "22-21-11",
        "22-11-22",
        "22-12-21",
        "11-22-22",
        "11-21-12",
        "21-22-11",
        "12-21-11",
        "42-21-21",
        "41-21-11",
        "44-11-11",
        "33-11-11",
        "31-31-11",
        "22-22-22",
        "21-21-21",
        "32-21-11",
        "43-11-11",
        "11",
        "22",
        "21",
        "14",
        "44",
        "22-11-11-22",
        "21-11-11-11",
        "11-11-11-22",
        "11-22-22-11",
    ];
    let mut files = Vec::new();
    for case in CASES {
        let digit = |byte: u8| usize::from(byte - b'0');
        let factors: Vec<_> = case.split('-').map(|f| (digit(f.as_bytes()[0]), digit(f.as_bytes()[1]))).collect();
        for (width, height) in [(43, 37), (17, 9)] {
            let name = format!("sampling-{case}-{width}x{height}");
            files.push(file(name, baseline(&Picture::new(case, width, height, &factors))));
        }
    }
    files
}

/// Sizes around multiples of blocks and MCUs, from one pixel on.
fn sizes() -> Vec<OddFile> {
    let sizes = (1..=9).chain([15, 16, 17, 31, 32, 33]).map(|n| (n, n));
    let sizes = sizes.chain([(1, 40), (40, 1), (2, 33), (65, 3)]);
    let mut files = Vec::new();
    for (class, (width, height)) in sizes.enumerate() {
        let pixels = class_image(class % 10, class, width, height);
        let (sampling, progressive) = (SamplingFactor::F_2_2, class % 3 == 2);
        let bytes = encoded(&pixels, width, height, ColorType::Rgb, sampling, progressive);
        files.push(file(format!("size-{width}x{height}"), bytes));
    }
    let grey = |width: u16, height: u16| class_image(3, 1, width, height).into_iter().step_by(3).collect::<Vec<u8>>();
    for (width, height) in [(8, 8), (300, 5), (5, 300), (201, 150)] {
        let bytes = encoded(&grey(width, height), width, height, ColorType::Luma, SamplingFactor::F_1_1, false);
        files.push(file(format!("size-grey-{width}x{height}"), bytes));
    }
    let (width, height) = (320, 240);
    for (name, sampling, progressive) in
        [("420", SamplingFactor::F_2_2, false), ("444-progressive", SamplingFactor::F_1_1, true)]
    {
        let bytes = encoded(&class_image(4, 2, width, height), width, height, ColorType::Rgb, sampling, progressive);
        files.push(file(format!("size-{width}x{height}-{name}"), bytes));
    }
    files.push(file(
        "size-blank-160x56",
        encoded(&[255; 160 * 56 * 3], 160, 56, ColorType::Rgb, SamplingFactor::F_2_2, false),
    ));
    files
}

fn encoded(
    pixels: &[u8],
    width: u16,
    height: u16,
    colours: ColorType,
    sampling: SamplingFactor,
    progressive: bool,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 85);
    encoder.set_sampling_factor(sampling);
    encoder.set_progressive(progressive);
    encoder.encode(pixels, width, height, colours).expect("pixels fit the size");
    bytes
}

/// The meanings that three and four components can have.
fn colours() -> Vec<OddFile> {
    let three = Picture::new("three", 27, 19, &[(2, 1), (1, 1), (1, 1)]);
    let four = Picture::new("four", 27, 19, &[(1, 1); 4]);
    let start = || Jpeg::new(Tables::typical());
    let rest = |start: Jpeg, picture: &Picture| {
        start.quantization(1).huffman().frame(SOF0, picture).scan(picture, &all(picture)).end()
    };
    let mut files = Vec::new();
    let mut add =
        |name: &str, start: Jpeg, picture: &Picture| files.push(file(format!("colour-{name}"), rest(start, picture)));
    add("rgb-ids", start(), &three.clone().ids(b"RGB"));
    add("rgb-ids-jfif", start().jfif(), &three.clone().ids(b"RGB"));
    add("rgb-ids-small", start(), &three.clone().ids(b"rgb"));
    for transform in [0, 1, 2, 7] {
        add(&format!("three-adobe{transform}"), start().adobe(transform), &three);
        add(&format!("three-adobe{transform}-rgb-ids"), start().adobe(transform), &three.clone().ids(b"RGB"));
        add(&format!("three-jfif-adobe{transform}"), start().jfif().adobe(transform), &three);
        add(&format!("four-adobe{transform}"), start().adobe(transform), &four);
        add(&format!("four-jfif-adobe{transform}"), start().jfif().adobe(transform), &four);
    }
    add("three-no-marker", start(), &three);
    add("three-ids-012", start(), &three.clone().ids(&[0, 1, 2]));
    add("three-ids-0-255-34", start(), &three.clone().ids(&[0, 255, 34]));
    add("three-ids-same", start(), &three.clone().ids(&[1, 1, 1]));
    add("three-ids-two-same", start(), &three.clone().ids(&[1, 2, 2]));
    add("four-no-marker", start(), &four);
    add("four-ids-cmyk", start(), &four.clone().ids(b"CMYK"));
    add("four-jfif", start().jfif(), &four);
    add("grey-adobe0", start().adobe(0), &Picture::new("one", 27, 19, &[(1, 1)]));
    add("ycck-420", start().adobe(2), &Picture::new("ycck", 43, 37, &[(2, 2), (1, 1), (1, 1), (2, 2)]));
    add("two", start(), &Picture::new("two", 27, 19, &[(1, 1); 2]));
    add("five", start(), &Picture::new("five", 27, 19, &[(1, 1); 5]));
    add("adobe-cut", start().segment(APP14, b"Adobe\0"), &three);
    add("adobe-without-transform", start().segment(APP14, b"Adobe\0\x64\0\0\0"), &four);
    add("adobe-twice", start().adobe(0).adobe(1), &three);
    let inks = class_image(5, 3, 32, 24);
    let inks: Vec<u8> = inks.chunks(3).flat_map(|p| [p[0], p[1], p[2], (p[0] / 2) ^ p[2]]).collect();
    for (name, kind) in [("cmyk", ColorType::Cmyk), ("ycck", ColorType::CmykAsYcck)] {
        files.push(file(format!("colour-{name}-picture"), encoded(&inks, 32, 24, kind, SamplingFactor::F_1_1, false)));
    }
    files
}

/// Sequential files with several scans.
fn scans() -> Vec<OddFile> {
    let factors: [(&str, &[(usize, usize)]); 5] = [
        ("420", &[(2, 2), (1, 1), (1, 1)]),
        ("422", &[(2, 1), (1, 1), (1, 1)]),
        ("440", &[(1, 2), (1, 1), (1, 1)]),
        ("444", &[(1, 1); 3]),
        ("four", &[(2, 2), (1, 1), (1, 1), (2, 2)]),
    ];
    let orders: [(&str, &[&[usize]]); 6] = [
        ("apart", &[&[0], &[1], &[2]]),
        ("luma-first", &[&[0], &[1, 2]]),
        ("luma-last", &[&[2], &[1], &[0]]),
        ("two-first", &[&[0, 1], &[2]]),
        ("one-missing", &[&[0], &[1]]),
        ("one-twice", &[&[0], &[1], &[0], &[2]]),
    ];
    let mut files = Vec::new();
    for (sampling, factors) in factors {
        let picture = Picture::new(sampling, 43, 37, factors);
        for (order, scans) in orders {
            let mut jpeg = begun(SOF0, &picture);
            for of in scans {
                jpeg = jpeg.scan(&picture, &Scan::sequential(of));
            }
            if factors.len() == 4 {
                jpeg = jpeg.scan(&picture, &Scan::sequential(&[3]));
            }
            files.push(file(format!("scans-{sampling}-{order}"), jpeg.end()));
        }
    }
    let picture = picture_420();
    let apart = begun(SOF1, &picture).restarts(2).scan(&picture, &Scan::sequential(&[0]));
    let apart = apart.restarts(0).scan(&picture, &Scan::sequential(&[1])).restarts(1);
    files.push(file("scans-restarts-change", apart.scan(&picture, &Scan::sequential(&[2])).end()));
    files
}

/// The scans that libjpeg writes by default for three components.
pub fn usual_progression() -> Vec<Scan> {
    vec![
        Scan::band(&[0, 1, 2], 0, 0, 0, 1),
        Scan::band(&[0], 1, 5, 0, 2),
        Scan::band(&[2], 1, 63, 0, 1),
        Scan::band(&[1], 1, 63, 0, 1),
        Scan::band(&[0], 6, 63, 0, 2),
        Scan::band(&[0], 1, 63, 2, 1),
        Scan::band(&[0, 1, 2], 0, 0, 1, 0),
        Scan::band(&[2], 1, 63, 1, 0),
        Scan::band(&[1], 1, 63, 1, 0),
        Scan::band(&[0], 1, 63, 1, 0),
    ]
}

/// A picture with three components, in these scans.
pub fn in_scans(picture: &Picture, scans: &[Scan]) -> Vec<u8> {
    let begun = begun(SOF2, picture);
    scans.iter().fold(begun, |jpeg, scan| jpeg.scan(picture, scan)).end()
}

/// Progressive files: bands and bits of coefficients in separate scans.
#[allow(clippy::too_many_lines, reason = "a list of files")]
fn progressive() -> Vec<OddFile> {
    let all = [0, 1, 2];
    let bands = |bands: &[(u8, u8)]| -> Vec<Scan> {
        bands.iter().flat_map(|&(first, last)| all.map(|index| Scan::band(&[index], first, last, 0, 0))).collect()
    };
    let dc = || vec![Scan::band(&all, 0, 0, 0, 0)];
    let usual = usual_progression();
    let cases: Vec<(&str, Vec<Scan>)> = vec![
        ("usual", usual.clone()),
        ("bands", [dc(), bands(&[(1, 5), (6, 63)])].concat()),
        ("many-bands", [dc(), bands(&(1..64).map(|n| (n, n)).collect::<Vec<_>>())].concat()),
        ("dc-apart", [all.map(|n| Scan::band(&[n], 0, 0, 0, 0)).to_vec(), bands(&[(1, 63)])].concat()),
        ("dc-only", dc()),
        ("dc-bits", (0..5).rev().map(|low| Scan::band(&all, 0, 0, if low == 4 { 0 } else { low + 1 }, low)).collect()),
        ("dc-coarse", vec![Scan::band(&all, 0, 0, 0, 3)]),
        ("ac-only", bands(&[(1, 63)])),
        ("ac-first", [bands(&[(1, 63)]), dc()].concat()),
        ("ac-of-luma-only", [dc(), vec![Scan::band(&[0], 1, 63, 0, 0)]].concat()),
        ("low-frequencies-only", [dc(), bands(&[(1, 5)])].concat()),
        ("high-frequencies-only", [dc(), bands(&[(10, 63)])].concat()),
        ("no-last-bit", usual[..6].to_vec()),
        ("no-bit-of-chroma", usual[..7].to_vec()),
        ("first-scans", usual[..3].to_vec()),
        (
            "bits-of-all",
            [
                dc(),
                (0..4)
                    .rev()
                    .flat_map(|low| all.map(|n| Scan::band(&[n], 1, 63, if low == 3 { 0 } else { low + 1 }, low)))
                    .collect(),
            ]
            .concat(),
        ),
        ("scan-twice", [dc(), bands(&[(1, 63), (1, 63)])].concat()),
    ];
    let mut files = Vec::new();
    let pictures = [
        ("420", picture_420()),
        ("444", Picture::new("444", 26, 33, &[(1, 1); 3])),
        ("odd", Picture::new("odd", 50, 41, &[(2, 1), (1, 2), (1, 1)])),
    ];
    for (name, scans) in cases {
        for (sampling, picture) in &pictures {
            files.push(file(format!("progressive-{sampling}-{name}"), in_scans(picture, &scans)));
        }
    }
    let grey = Picture::new("grey", 33, 70, &[(2, 2)]);
    let bits = [
        Scan::band(&[0], 0, 0, 0, 1),
        Scan::band(&[0], 1, 63, 0, 1),
        Scan::band(&[0], 0, 0, 1, 0),
        Scan::band(&[0], 1, 63, 1, 0),
    ];
    files.push(file("progressive-grey", in_scans(&grey, &bits)));
    let inks = Picture::new("inks", 33, 20, &[(1, 1); 4]);
    let mut of_inks = vec![Scan::band(&[0, 1, 2, 3], 0, 0, 0, 0)];
    of_inks.extend((0..4).map(|n| Scan::band(&[n], 1, 63, 0, 0)));
    files.push(file("progressive-four", in_scans(&inks, &of_inks)));
    for interval in [1, 3, 50] {
        let picture = picture_420();
        let jpeg = begun(SOF2, &picture).restarts(interval);
        let jpeg = usual.iter().fold(jpeg, |jpeg, scan| jpeg.scan(&picture, scan));
        files.push(file(format!("progressive-restarts-{interval}"), jpeg.end()));
    }
    // Blank except for one corner: runs of thousands of empty blocks.
    let mut sparse = Picture::new("sparse", 1100, 8 * 36, &[(1, 1)]);
    sparse.components[0].blocks[..4900].iter_mut().for_each(|block| *block = [0; 64]);
    files.push(file("progressive-sparse", in_scans(&sparse, &bits)));
    files
}

/// Restart markers, right and wrong.
fn restarts() -> Vec<OddFile> {
    let picture = Picture::new("restarts", 90, 60, &[(2, 2), (1, 1), (1, 1)]);
    let one = Picture::new("restarts", 90, 60, &[(1, 1)]);
    let mut files = Vec::new();
    for interval in [1, 3, 6, 7, 100] {
        for (name, picture) in [("420", &picture), ("grey", &one)] {
            let jpeg = begun(SOF0, picture).restarts(interval).scan(picture, &all(picture));
            files.push(file(format!("restarts-{name}-{interval}"), jpeg.end()));
        }
    }
    type Choice = fn(usize) -> Option<u8>;
    let wrong: [(&str, Choice); 8] = [
        ("missing", |n| (n != 4).then_some((n % 8) as u8)),
        ("three-missing", |n| (!(4..7).contains(&n)).then_some((n % 8) as u8)),
        ("all-missing", |_| None),
        ("one-later", |n| Some((n % 8) as u8 + u8::from(n == 2))),
        ("two-later", |n| Some((n + 2 * usize::from(n == 5)) as u8 % 8)),
        ("far-later", |n| Some((n + 4 * usize::from(n == 5)) as u8 % 8)),
        ("one-earlier", |n| Some((n + 7 * usize::from(n == 5)) as u8 % 8)),
        ("all-of-one-number", |_| Some(0)),
    ];
    for (name, choose) in wrong {
        for interval in [1, 6] {
            let jpeg = begun(SOF0, &picture).restarts(interval).scan_with(&picture, &all(&picture), choose);
            files.push(file(format!("restarts-{interval}-{name}"), jpeg.end()));
        }
        let jpeg = begun(SOF2, &picture).restarts(2);
        let jpeg = usual_progression().iter().fold(jpeg, |jpeg, scan| jpeg.scan_with(&picture, scan, choose));
        files.push(file(format!("restarts-progressive-{name}"), jpeg.end()));
    }
    let plain = begun(SOF0, &picture).scan(&picture, &all(&picture)).end();
    for number in [0xd0, 0xd5] {
        let at = plain.len() / 2;
        files.push(file(format!("restarts-unannounced-{number:x}"), with(&plain, at, &[0xff, number])));
    }
    let spaced = begun(SOF0, &picture).restarts(6).scan(&picture, &all(&picture)).end();
    let at = spaced.windows(2).position(|pair| pair == [0xff, 0xd1]).expect("a second restart");
    files.push(file("restarts-fill-bytes", with(&spaced, at, &[0xff, 0xff, 0xff])));
    files.push(file("restarts-junk-before", with(&spaced, at, &[1, 2, 3, 0xff, 0, 4])));
    files.push(file("restarts-twice", with(&spaced, at, &[0xff, 0xd1])));
    files
}

/// Tables and headers that are allowed but rare.
fn tables() -> Vec<OddFile> {
    let picture = picture_420();
    let rest = |jpeg: Jpeg, marker| jpeg.huffman().frame(marker, &picture).scan(&picture, &all(&picture)).end();
    let start = || Jpeg::new(Tables::typical()).jfif();
    let wide = |times| rest(start().quantization(times), SOF1);
    let mut files: Vec<OddFile> = [2, 40, 900].map(|times| file(format!("tables-16bit-{times}"), wide(times))).to_vec();
    files.push(file("tables-16bit-baseline", rest(start().quantization(3), SOF0)));
    files.push(file("tables-extended", rest(start().quantization(1), SOF1)));
    let mut zeros = vec![0];
    zeros.extend([0; 64]);
    files.push(file("tables-steps-of-zero", rest(start().quantization(1).segment(DQT, &zeros), SOF0)));
    let long = Jpeg::new(Tables::every()).jfif().quantization(1);
    files.push(file("tables-long-codes", rest(long, SOF0)));
    files.push(file("tables-twice", rest(start().quantization(7).quantization(1).huffman(), SOF0)));
    let in_between = begun(SOF0, &picture).scan(&picture, &Scan::sequential(&[0])).quantization(5);
    let in_between = in_between.scan(&picture, &Scan::sequential(&[1])).quantization(3);
    files.push(file("tables-between-scans", in_between.scan(&picture, &Scan::sequential(&[2])).end()));
    let lines = begun(SOF0, &picture).segment(DNL, &20u16.to_be_bytes()).scan(&picture, &all(&picture)).end();
    files.push(file("tables-dnl-before-scan", lines));
    let alone = Jpeg::new(Tables::typical()).quantization(1).huffman().end();
    let image = Jpeg::new(Tables::typical()).frame(SOF0, &picture).scan(&picture, &all(&picture)).end();
    files.push(file("tables-in-an-image-of-their-own", [alone, image].concat()));
    files
}

/// Grey samples, coded as differences from their left neighbours (T.81 H).
fn lossless() -> OddFile {
    let picture = Picture::new("lossless", 21, 13, &[(1, 1)]);
    let (width, height) = (usize::from(picture.width), usize::from(picture.height));
    let sample = |x: usize, y: usize| ((x * 9 + y * 14 + x * y % 7) % 256) as i16;
    let codes = Codes::sizes();
    let mut bits = Bits::default();
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let predicted = match (x, y) {
            (0, 0) => 128,
            (0, _) => sample(0, y - 1),
            _ => sample(x - 1, y),
        };
        let difference = sample(x, y) - predicted;
        let size = size(difference);
        let (code, length) = codes.of(size);
        bits.put(code, length);
        bits.put((difference - i16::from(difference < 0)) as u32, u32::from(size));
    }
    // The predictor's number is where other scans have their first coefficient.
    let scan = Scan::band(&[0], 1, 0, 0, 0);
    let start = Jpeg::new(Tables::every()).jfif().huffman().frame(SOF3, &picture).scan_header(&picture, &scan);
    file("whole-lossless", start.raw(&bits.finish()).end())
}

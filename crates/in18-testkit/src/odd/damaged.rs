//! JPEGs that are cut, that contradict themselves, or that have wrong bytes.

use super::OddFile;
use super::jpeg::{
    COM, DHT, DNL, DQT, Jpeg, SOF0, SOF1, SOF2, SOS, all, baseline, begun, data, offsets, set, with, without,
};
use super::picture::Picture;
use super::scan::{Bits, Scan, Tables};
use super::whole::{in_scans, picture_420, usual_progression};
use crate::generator::{bits, stream};

/// The files of this kind.
pub fn files() -> Vec<OddFile> {
    [cut(), frames(), lying_sizes(), tables(), scan_headers(), coefficients(), wrong_bytes(), around()].concat()
}

fn file(name: impl AsRef<str>, bytes: Vec<u8>) -> OddFile {
    OddFile::new(format!("{}.jpg", name.as_ref()), bytes)
}

fn plain() -> Vec<u8> {
    baseline(&picture_420())
}

fn progressive() -> Vec<u8> {
    in_scans(&picture_420(), &usual_progression())
}

fn cut() -> Vec<OddFile> {
    let mut files = Vec::new();
    let restarts = begun(SOF0, &picture_420()).restarts(2).scan(&picture_420(), &all(&picture_420())).end();
    for (kind, bytes) in [("baseline", plain()), ("progressive", progressive()), ("restarts", restarts)] {
        let (frame, scan) = (offsets(&bytes, if kind == "progressive" { SOF2 } else { SOF0 })[0], data(&bytes));
        let end = bytes.len();
        let places = [
            ("start", 2),
            ("frame", frame + 7),
            ("before-scan", offsets(&bytes, SOS)[0]),
            ("data-start", scan),
            ("data", scan + 1),
            ("quarter", scan + (end - scan) / 4),
            ("half", scan + (end - scan) / 2),
            ("before-end", end - 2),
            ("end-marker", end - 1),
        ];
        for (place, at) in places {
            files.push(file(format!("cut-{kind}-{place}"), bytes[..at].to_vec()));
        }
        // A cut file with an end marker at the cut.
        for (place, at) in
            [("quarter", scan + (end - scan) / 4), ("half", scan + (end - scan) / 2), ("data-start", scan)]
        {
            files.push(file(format!("ended-{kind}-{place}"), [&bytes[..at], &[0xff, 0xd9]].concat()));
        }
        files.push(file(format!("cut-{kind}-zeros"), [&bytes[..end * 2 / 3], &vec![0; end / 3]].concat()));
    }
    files
}

/// Frame headers that are missing, or of a process or precision other than the data's.
fn frames() -> Vec<OddFile> {
    let plain = plain();
    let frame = offsets(&plain, SOF0)[0];
    let mut files = Vec::new();
    for marker in [0xc1, 0xc2, 0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf, 0xc8, 0xf0, 0x02] {
        files.push(file(format!("frame-{marker:02x}"), set(&plain, frame + 1, &[marker])));
    }
    let progressive = progressive();
    let of_progressive = offsets(&progressive, SOF2)[0];
    files.push(file("frame-progressive-as-baseline", set(&progressive, of_progressive + 1, &[SOF0])));
    for precision in [0, 2, 7, 12, 16, 255] {
        files.push(file(format!("frame-{precision}-bits"), set(&plain, frame + 4, &[precision])));
    }
    // A 12-bit camera writes such an extended sequential or progressive frame.
    for (name, bytes, marker) in [("extended", &plain, SOF1), ("progressive", &progressive, SOF2)] {
        let at = if marker == SOF1 { frame } else { of_progressive };
        let bytes = set(&set(bytes, at + 1, &[marker]), at + 4, &[12]);
        files.push(file(format!("frame-12-bits-{name}"), bytes));
    }
    files.push(file("frame-missing", without(&plain, SOF0)));
    files.push(file("frame-twice", with(&plain, frame, &plain[frame..frame + 19])));
    files.push(file(
        "frame-after-scan",
        [&without(&plain, SOF0)[..plain.len() - 21], &plain[frame..frame + 19], &[0xff, 0xd9]].concat(),
    ));
    files.push(file("frame-short", set(&plain, frame + 3, &[14])));
    files.push(file("frame-long", set(&plain, frame + 3, &[20])));
    files.push(file("frame-empty", with(&without(&plain, SOF0), frame, &[0xff, SOF0, 0, 2])));
    for colours in [0, 1, 2, 4, 255] {
        files.push(file(format!("frame-{colours}-colours"), set(&plain, frame + 9, &[colours])));
    }
    for (name, factors) in [("0x1", 0x01), ("1x0", 0x10), ("5x1", 0x51), ("1x5", 0x15), ("15x15", 0xff), ("3x2", 0x32)]
    {
        files.push(file(format!("frame-factors-{name}"), set(&plain, frame + 11, &[factors])));
    }
    files
}

fn lying_sizes() -> Vec<OddFile> {
    let mut files = Vec::new();
    for (kind, bytes, marker) in [("baseline", plain(), SOF0), ("progressive", progressive(), SOF2)] {
        let at = offsets(&bytes, marker)[0] + 5;
        let sizes: [(u16, u16); 15] = [
            (0, 0),
            (0, 37),
            (43, 0),
            (65_535, 65_535),
            (65_535, 1),
            (1, 65_535),
            (65_500, 3),
            (20_000, 20_000),
            (43, 38),
            (43, 300),
            (44, 37),
            (60, 37),
            (20, 37),
            (43, 20),
            (1, 1),
        ];
        for (width, height) in sizes {
            let lie = [height.to_be_bytes(), width.to_be_bytes()].concat();
            files.push(file(format!("lying-{kind}-{width}x{height}"), set(&bytes, at, &lie)));
        }
    }
    // The height comes after the first scan, as T.81 allows.
    let mut picture = picture_420();
    let lines = picture.height;
    picture.height = 0;
    let jpeg = begun(SOF0, &picture);
    picture.height = lines;
    let jpeg = jpeg.scan(&picture, &all(&picture)).segment(DNL, &lines.to_be_bytes());
    files.push(file("lying-height-behind-scan", jpeg.end()));
    files
}

fn tables() -> Vec<OddFile> {
    let plain = plain();
    let (codes, steps) = (offsets(&plain, DHT)[0], offsets(&plain, DQT)[0]);
    let scan = offsets(&plain, SOS)[0];
    let picture = picture_420();
    let defined =
        |definition: &[u8]| begun(SOF0, &picture).segment(DHT, definition).scan(&picture, &all(&picture)).end();
    let counts = |counts: &[(usize, u8)]| {
        let mut all = vec![0; 17];
        counts.iter().for_each(|&(length, count)| all[length] = count);
        let symbols: usize = all.iter().map(|&n| usize::from(n)).sum();
        all.extend((0..symbols).map(|n| n as u8));
        all
    };
    let of = |number: u8, mut definition: Vec<u8>| {
        definition[0] = number;
        definition
    };
    let mut short = counts(&[(3, 5)]);
    short.pop();
    vec![
        file("tables-no-huffman", without(&plain, DHT)),
        file("tables-no-huffman-progressive", without(&progressive(), DHT)),
        file("tables-no-quantization", without(&plain, DQT)),
        file("tables-no-quantization-progressive", without(&progressive(), DQT)),
        file("tables-neither", without(&without(&plain, DHT), DQT)),
        file("tables-one-huffman", set(&plain, codes + 4 + 17 + 12, &[0x03])),
        file("tables-one-quantization", set(&plain, steps + 4 + 65, &[3])),
        file("tables-quantization-4", set(&plain, steps + 4, &[4])),
        file(
            "tables-quantization-cut",
            with(
                &without(&plain, DQT),
                steps,
                &[0xff, DQT, 0, 20, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17],
            ),
        ),
        file("tables-quantization-empty", with(&plain, steps, &[0xff, DQT, 0, 2])),
        file("tables-huffman-number-4", defined(&of(4, counts(&[(3, 5)])))),
        file("tables-huffman-class-2", defined(&of(0x20, counts(&[(3, 5)])))),
        file("tables-huffman-empty", defined(&counts(&[]))),
        file("tables-huffman-unused-and-wrong", defined(&of(0x13, counts(&[(1, 9)])))),
        file("tables-huffman-overflow", defined(&of(0x10, counts(&[(1, 3)])))),
        file("tables-huffman-all-ones", defined(&of(0x10, counts(&[(1, 2)])))),
        file("tables-huffman-overflow-late", defined(&of(0x10, counts(&[(1, 1), (2, 1), (5, 30)])))),
        file("tables-huffman-256", defined(&of(0x10, counts(&[(8, 254), (9, 2)])))),
        file("tables-huffman-257", defined(&of(0x10, counts(&[(8, 200), (9, 57)])))),
        file("tables-huffman-dc-sizes-to-40", defined(&counts(&[(6, 40)]))),
        file("tables-huffman-cut", defined(&short)),
        file("tables-huffman-trailing", defined(&[counts(&[(3, 5)]), vec![0; 9]].concat())),
        file("tables-huffman-short-codes", defined(&counts(&[(1, 1), (2, 1)]))),
        file("tables-restart-interval-long", with(&plain, scan, &[0xff, 0xdd, 0, 5, 0, 3, 0])),
        file("tables-restart-interval-short", with(&plain, scan, &[0xff, 0xdd, 0, 3, 0])),
        file("tables-arithmetic-conditioning", with(&plain, scan, &[0xff, 0xcc, 0, 4, 0x10, 5])),
        file("tables-arithmetic-conditioning-wrong", with(&plain, scan, &[0xff, 0xcc, 0, 4, 0, 0x12])),
    ]
}

fn scan_headers() -> Vec<OddFile> {
    let plain = plain();
    let (scan, start, end) = (offsets(&plain, SOS)[0], data(&plain), plain.len() - 2);
    let (picture, usual) = (picture_420(), usual_progression());
    let then = |scans: &[Scan]| in_scans(&picture, &[&usual[..1], scans].concat());
    // A scan whose header does not match its data.
    let claims = |header: Scan, coded: &Scan| {
        let jpeg = begun(SOF2, &picture).scan(&picture, &usual[0]);
        let honest = jpeg.clone().scan_header(&picture, coded).bytes.len();
        let bytes = jpeg.clone().scan(&picture, coded).end();
        jpeg.scan_header(&picture, &header).raw(&bytes[honest..]).bytes
    };
    let luma = Scan::band(&[0], 1, 63, 0, 0);
    let band = |first, last, high, low| Scan::band(&[0], first, last, high, low);
    let mut files = vec![
        file("scan-missing", [&plain[..scan], &[0xff, 0xd9]].concat()),
        file("scan-twice", with(&plain, end, &plain[scan..end])),
        file("scan-before-frame", [&plain[..2], &plain[scan..end], &plain[2..]].concat()),
        file("scan-of-none", with(&[&plain[..scan], &plain[start..]].concat(), scan, &[0xff, SOS, 0, 6, 0, 0, 63, 0])),
        file("scan-of-five", set(&plain, scan + 4, &[5])),
        file("scan-of-another-component", set(&plain, scan + 5, &[9])),
        file("scan-of-one-component-twice", set(&plain, scan + 7, &[1])),
        file("scan-other-order", set(&set(&plain, scan + 5, &[2]), scan + 7, &[1])),
        file("scan-of-table-3", set(&plain, scan + 6, &[0x33])),
        file("scan-of-table-15", set(&plain, scan + 6, &[0xff])),
        file("scan-band-of-baseline", set(&plain, start - 3, &[5, 2, 0x31])),
        file("scan-header-long", set(&plain, scan + 3, &[15])),
        file("scan-header-short", set(&plain, scan + 3, &[8])),
        file("scan-header-followed-by-bytes", with(&set(&plain, scan + 3, &[12 + 4]), start, &[1, 2, 3, 4])),
        file("scan-data-follow-bytes", with(&plain, start, &[0x12, 0x34, 0x56])),
        file("scan-data-follow-marker", with(&plain, start, &[0xff, COM, 0, 4, 1, 2])),
        file("scan-then-second-start", with(&plain, scan, &[0xff, 0xd8])),
        file("scan-bits-of-nothing", then(&[band(1, 63, 2, 1)])),
        file("scan-dc-bits-with-ac", claims(band(0, 63, 0, 0), &luma)),
        file("scan-band-reversed", claims(band(40, 20, 0, 0), &luma)),
        file("scan-band-too-long", claims(band(1, 64, 0, 0), &luma)),
        file("scan-low-14", claims(band(1, 63, 0, 14), &luma)),
        file("scan-low-13", claims(band(1, 63, 0, 13), &luma)),
        file("scan-bits-skipped", claims(band(1, 63, 5, 1), &luma)),
        file("scan-bits-rising", claims(band(1, 63, 1, 2), &luma)),
        file("scan-ac-of-two", claims(Scan::band(&[0, 1], 1, 63, 0, 0), &luma)),
        file("scan-refines-what-is-first", claims(band(1, 63, 1, 0), &luma)),
    ];
    let many = (0..600).map(|_| Scan::band(&[0, 1, 2], 0, 0, 1, 0)).collect::<Vec<_>>();
    let small = Picture::new("many", 8, 8, &[(1, 1); 3]);
    for count in [100, 499] {
        let scans = [&usual[..1], &many[..count]].concat();
        files.push(file(format!("scan-number-{}", count + 1), in_scans(&small, &scans)));
    }
    files
}

/// Coefficients that no encoder would write.
fn coefficients() -> Vec<OddFile> {
    let large = |name: &str, change: &dyn Fn(usize, &mut [i16; 64])| {
        let mut picture = Picture::new(name, 40, 24, &[(1, 1), (1, 1), (1, 1)]);
        for component in &mut picture.components {
            component.blocks.iter_mut().enumerate().for_each(|(at, block)| change(at, block));
        }
        picture
    };
    let dc = large("dc", &|at, block| block[0] = [16_383, -16_384, 12_000, 0][at % 4]);
    let ac = large("ac", &|at, block| block[1 + at % 63] = if at % 2 == 0 { 32_767 } else { -32_767 });
    let full = large("full", &|at, block| block.fill(if at % 2 == 0 { 1023 } else { -1023 }));
    let sequential = |picture: &Picture| {
        let start = Jpeg::new(Tables::every()).jfif().quantization(40).huffman().frame(SOF0, picture);
        start.scan(picture, &all(picture)).end()
    };
    let mut files = vec![
        file("coefficients-dc", sequential(&dc)),
        file("coefficients-ac", sequential(&ac)),
        file("coefficients-full", sequential(&full)),
    ];
    for (name, picture) in [("dc", &dc), ("ac", &ac), ("full", &full)] {
        files.push(file(format!("coefficients-progressive-{name}"), in_scans(picture, &usual_progression())));
    }
    // The predictor grows by 32,767 with every block.
    let ones = |name: &str, width, height, low: u8, marker: u8| {
        let picture = Picture::new(name, width, height, &[(1, 1)]);
        let scan = if marker == SOF2 { Scan::band(&[0], 0, 0, 0, low) } else { Scan::sequential(&[0]) };
        let jpeg = Jpeg::new(Tables::every()).quantization(40).huffman().frame(marker, &picture);
        let mut bits = Bits::default();
        for _ in 0..picture.components[0].blocks.len() {
            // The code of size 15, and the largest difference of that size.
            bits.put(0xfffe, 16);
            bits.put(0x7fff, 15);
            if marker != SOF2 {
                // The end-of-block code.
                bits.put(0, 8);
            }
        }
        jpeg.scan_header(&picture, &scan).raw(&bits.finish()).end()
    };
    files.push(file("coefficients-dc-predictor", ones("grow", 64, 64, 0, SOF0)));
    files.push(file("coefficients-dc-predictor-progressive", ones("grow", 64, 64, 0, SOF2)));
    files.push(file("coefficients-dc-predictor-shifted", ones("grow", 64, 64, 13, SOF2)));
    files.push(file("coefficients-dc-predictor-past-32-bits", ones("grow", 2048, 2056, 0, SOF2)));
    files
}

/// Data with single bytes or whole stretches changed.
fn wrong_bytes() -> Vec<OddFile> {
    let picture = Picture::new("wrong", 70, 60, &[(2, 2), (1, 1), (1, 1)]);
    let restarts = begun(SOF0, &picture).restarts(3).scan(&picture, &all(&picture)).end();
    let apart =
        [0, 1, 2].iter().fold(begun(SOF0, &picture), |jpeg, &n| jpeg.scan(&picture, &Scan::sequential(&[n]))).end();
    let kinds = [
        ("baseline", baseline(&picture)),
        ("progressive", in_scans(&picture, &usual_progression())),
        ("restarts", restarts),
        ("apart", apart),
    ];
    let mut files = Vec::new();
    for (kind, bytes) in kinds {
        let (draws, start) = (stream(&format!("wrong/{kind}")), data(&bytes));
        let length = bytes.len() - 2 - start;
        for n in 0..12 {
            let draw = |number: usize| (bits(draws, n * 8 + number) >> 20) as usize;
            let at = start + draw(0) % length;
            let changed = match n % 4 {
                0 => set(&bytes, at, &[draw(1) as u8]),
                1 => with(&bytes, at, &[draw(1) as u8]),
                2 => [&bytes[..at], &bytes[(at + 1 + draw(1) % 9).min(bytes.len() - 2)..]].concat(),
                _ => {
                    let end = (at + 24).min(bytes.len() - 2);
                    set(&bytes, at, &(at..end).map(|n| draw(n) as u8).collect::<Vec<_>>())
                }
            };
            files.push(file(format!("wrong-{kind}-{n:02}"), changed));
        }
        let middle = start + length / 2;
        files.push(file(format!("wrong-{kind}-ones"), set(&bytes, middle, &[0xff, 0].repeat(20))));
        files.push(file(format!("wrong-{kind}-zeros"), set(&bytes, middle, &[0; 40])));
        files.push(file(format!("wrong-{kind}-stuffed-ones"), with(&bytes, middle, &[0xff, 0xff, 0xff, 0])));
        files.push(file(format!("wrong-{kind}-marker"), with(&bytes, middle, &[0xff, 0xd9])));
        files.push(file(format!("wrong-{kind}-comment"), with(&bytes, middle, &[0xff, COM, 0, 5, 1, 2, 3])));
        files.push(file(format!("wrong-{kind}-unknown-marker"), with(&bytes, middle, &[0xff, 0x4f])));
    }
    files
}

/// Bytes that belong to nothing, between segments and around the image.
fn around() -> Vec<OddFile> {
    let plain = plain();
    let (scan, end) = (offsets(&plain, SOS)[0], plain.len() - 2);
    let table = offsets(&plain, DHT)[0];
    vec![
        file("around-fill-bytes", with(&plain, scan, &[0xff; 7])),
        file("around-fill-bytes-first", with(&plain, 2, &[0xff; 3])),
        file("around-fill-bytes-before-end", with(&plain, end, &[0xff; 5])),
        file("around-junk-between", with(&plain, scan, &[1, 2, 3, 0xff, 0, 4])),
        file("around-ff00-between", with(&plain, table, &[0xff, 0])),
        file("around-ff00-first", with(&plain, 2, &[0xff, 0, 0xff, 0])),
        file("around-junk-first", with(&plain, 2, &[7, 7, 7])),
        file("around-junk-before-start", with(&plain, 0, &[7, 7, 7])),
        file("around-line-before-start", with(&plain, 0, b"\r\n")),
        file("around-junk-before-end", with(&plain, end, &[1, 2, 0xff, 0, 3])),
        file("around-trailing-zeros", [plain.as_slice(), &[0; 100]].concat()),
        file("around-trailing-junk", [plain.as_slice(), b"and so on", &[0xff, SOF0, 0, 1]].concat()),
        file("around-trailing-image", [plain.as_slice(), &progressive()].concat()),
        file("around-restart-between", with(&plain, scan, &[0xff, 0xd3])),
        file("around-tem", with(&plain, scan, &[0xff, 0x01])),
        file("around-unknown-marker", with(&plain, scan, &[0xff, 0xf7, 0, 2])),
        file("around-reserved-marker", with(&plain, scan, &[0xff, 0x40, 0, 2])),
        file("around-comment-of-0", with(&plain, scan, &[0xff, COM, 0, 0])),
        file("around-comment-of-1", with(&plain, scan, &[0xff, COM, 0, 1])),
        file("around-comment-past-the-end", with(&plain, scan, &[0xff, COM, 0xff, 0xff])),
        file("around-lines", with(&plain, scan, &[0xff, DNL, 0, 4, 0, 9])),
    ]
}

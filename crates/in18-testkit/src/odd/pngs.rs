//! PNGs with every kind of sample, and damaged ones.

use super::OddFile;
use super::png::{Chunks, GREY, GREY_ALPHA, PALETTE, RGB, RGBA, compressed, rows};

/// The files of this kind.
pub fn files() -> Vec<OddFile> {
    [kinds(), chunks(), checksums(), cut(), headers(), data()].concat()
}

fn file(name: impl AsRef<str>, bytes: Vec<u8>) -> OddFile {
    OddFile::new(format!("png-{}.png", name.as_ref()), bytes)
}

fn plain() -> Chunks {
    Chunks::image(23, 14, 8, RGB, false)
}

fn kinds() -> Vec<OddFile> {
    let kinds = [
        ("grey", GREY, [1, 2, 4, 8, 16].as_slice()),
        ("rgb", RGB, &[8, 16]),
        ("palette", PALETTE, &[1, 2, 4, 8]),
        ("grey-alpha", GREY_ALPHA, &[8, 16]),
        ("rgba", RGBA, &[8, 16]),
    ];
    let mut files = Vec::new();
    for (name, colours, depths) in kinds {
        for &depth in depths {
            for (suffix, interlaced) in [("", false), ("-interlaced", true)] {
                let chunks = Chunks::image(23, 14, depth, colours, interlaced);
                files.push(file(format!("{name}-{depth}{suffix}"), chunks.bytes()));
            }
        }
    }
    for (width, height) in [(1, 1), (2, 1), (1, 5), (3, 3), (300, 200)] {
        for (suffix, interlaced) in [("", false), ("-interlaced", true)] {
            let chunks = Chunks::image(width, height, 8, RGB, interlaced);
            files.push(file(format!("size-{width}x{height}{suffix}"), chunks.bytes()));
        }
    }
    files.push(OddFile::new("png-named.jpg", plain().bytes()));
    files
}

/// Chunks that are rare, missing or out of place.
#[allow(clippy::too_many_lines, reason = "a list of files")]
fn chunks() -> Vec<OddFile> {
    let palette = || Chunks::image(23, 14, 8, PALETTE, false);
    let small = || Chunks::image(23, 14, 4, PALETTE, false);
    let divided = |parts: usize| {
        let mut chunks = plain();
        let data = chunks.0.remove(1).1;
        let part = data.len().div_ceil(parts);
        let pieces = data.chunks(part).map(|piece| (*b"IDAT", piece.to_vec())).collect::<Vec<_>>();
        chunks.0.splice(1..1, pieces);
        chunks
    };
    let mut apart = divided(2);
    apart.0.insert(2, (*b"tEXt", b"a\0b".to_vec()));
    let mut with_empty = divided(3);
    with_empty.0.insert(2, (*b"IDAT", Vec::new()));
    let alpha: Vec<u8> = (0..=255).collect();
    vec![
        file("palette-transparent", palette().before_data(b"tRNS", &alpha).bytes()),
        file("palette-transparent-few", palette().before_data(b"tRNS", &[0, 128, 7]).bytes()),
        file("palette-transparent-one", small().before_data(b"tRNS", &[255, 0, 255]).bytes()),
        file("palette-transparent-too-many", small().before_data(b"tRNS", &alpha[..17]).bytes()),
        file("palette-short", palette().change(b"PLTE", |colours| colours.truncate(9)).bytes()),
        file("palette-short-4", small().change(b"PLTE", |colours| colours.truncate(9)).bytes()),
        file("palette-uneven", palette().change(b"PLTE", |colours| colours.truncate(10)).bytes()),
        file("palette-missing", palette().without(b"PLTE").bytes()),
        file("palette-empty", palette().change(b"PLTE", Vec::clear).bytes()),
        file("palette-too-long", small().change(b"PLTE", |colours| colours.extend([9; 30])).bytes()),
        file("palette-of-rgb", plain().before_data(b"PLTE", &[1, 2, 3]).bytes()),
        file("palette-of-grey", Chunks::image(23, 14, 8, GREY, false).before_data(b"PLTE", &[1, 2, 3]).bytes()),
        file("grey-transparent", Chunks::image(23, 14, 8, GREY, false).before_data(b"tRNS", &[0, 90]).bytes()),
        file("grey-1-transparent", Chunks::image(23, 14, 1, GREY, false).before_data(b"tRNS", &[0, 1]).bytes()),
        file("rgb-transparent", plain().before_data(b"tRNS", &[0, 90, 0, 7, 0, 200]).bytes()),
        file("rgb-16-transparent", Chunks::image(23, 14, 16, RGB, false).before_data(b"tRNS", &[9; 6]).bytes()),
        file("rgb-transparent-short", plain().before_data(b"tRNS", &[0, 90]).bytes()),
        file(
            "rgba-transparent",
            Chunks::image(23, 14, 8, RGBA, false).before_data(b"tRNS", &[0, 90, 0, 7, 0, 200]).bytes(),
        ),
        file("data-in-2", divided(2).bytes()),
        file("data-in-40", divided(40).bytes()),
        file("data-with-empty", with_empty.bytes()),
        file("data-apart", apart.bytes()),
        file("data-missing", plain().without(b"IDAT").bytes()),
        file("data-empty", plain().change(b"IDAT", Vec::clear).bytes()),
        file("end-missing", plain().without(b"IEND").bytes()),
        file("end-not-empty", plain().change(b"IEND", |content| content.extend(b"more")).bytes()),
        file("header-missing", plain().without(b"IHDR").bytes()),
        file("header-twice", plain().before_data(b"IHDR", &plain().0[0].1).bytes()),
        file("gamma", plain().before_data(b"gAMA", &[0, 0, 0x80, 0]).bytes()),
        file("gamma-short", plain().before_data(b"gAMA", &[0]).bytes()),
        file("density-short", plain().before_data(b"pHYs", &[0, 0]).bytes()),
        file("srgb", plain().before_data(b"sRGB", &[0]).bytes()),
        file("srgb-empty", plain().before_data(b"sRGB", &[]).bytes()),
        file("chromaticities-short", plain().before_data(b"cHRM", &[0; 9]).bytes()),
        file("significant-bits", plain().before_data(b"sBIT", &[5, 6, 5]).bytes()),
        file("background", plain().before_data(b"bKGD", &[0, 9, 0, 9, 0, 9]).bytes()),
        file("profile", plain().before_data(b"iCCP", &[b"p\0\0".as_slice(), &compressed(&[7; 300])].concat()).bytes()),
        file("profile-bad", plain().before_data(b"iCCP", b"p\0\0rubbish").bytes()),
        file("profile-of-another-method", plain().before_data(b"iCCP", b"p\0\x09rubbish").bytes()),
        file("profile-empty", plain().before_data(b"iCCP", b"").bytes()),
        file("text", plain().before_data(b"tEXt", b"Title\0odd").bytes()),
        file("text-nameless", plain().before_data(b"tEXt", b"\0odd").bytes()),
        file("text-without-zero", plain().before_data(b"tEXt", b"odd").bytes()),
        file(
            "text-compressed",
            plain().before_data(b"zTXt", &[b"t\0\0".as_slice(), &compressed(b"odd")].concat()).bytes(),
        ),
        file("text-compressed-bad", plain().before_data(b"zTXt", b"t\0\0rubbish").bytes()),
        file("text-compressed-empty", plain().before_data(b"zTXt", b"").bytes()),
        file("text-of-another-method", plain().before_data(b"zTXt", b"t\0\x05rubbish").bytes()),
        file("international-text-bad", plain().before_data(b"iTXt", b"t\0\x01\0\0\0rubbish").bytes()),
        file("unknown-chunk", plain().before_data(b"abCd", b"whatever").bytes()),
        file("unknown-critical-chunk", plain().before_data(b"ABCD", b"whatever").bytes()),
        file("chunk-of-no-letters", plain().before_data(b"1234", b"whatever").bytes()),
        file("unknown-chunk-behind-data", plain().after_data(b"abCd", b"whatever").bytes()),
        file("animation", plain().before_data(b"acTL", &[0, 0, 0, 1, 0, 0, 0, 0]).bytes()),
        file("animation-of-none", plain().before_data(b"acTL", &[0, 0, 0, 0, 0, 0, 0, 0]).bytes()),
        file("animation-short", plain().before_data(b"acTL", &[0, 0, 0, 1]).bytes()),
        file("stamps", [plain().bytes().as_slice(), b"trailing", &plain().bytes()].concat()),
    ]
}

fn checksums() -> Vec<OddFile> {
    let broken = |name: &[u8; 4], chunks: Chunks| {
        let mut bytes = chunks.bytes();
        bytes[chunks.checksum_of(name)] ^= 1;
        bytes
    };
    vec![
        file("checksum-header", broken(b"IHDR", plain())),
        file("checksum-palette", broken(b"PLTE", Chunks::image(23, 14, 8, PALETTE, false))),
        file("checksum-data", broken(b"IDAT", plain())),
        file("checksum-end", broken(b"IEND", plain())),
        file("checksum-text", broken(b"tEXt", plain().before_data(b"tEXt", b"Title\0odd"))),
        file("checksum-text-behind-data", broken(b"tEXt", plain().after_data(b"tEXt", b"Title\0odd"))),
        file("checksum-unknown", broken(b"abCd", plain().before_data(b"abCd", b"whatever"))),
        file("checksum-gamma", broken(b"gAMA", plain().before_data(b"gAMA", &[0, 0, 0x80, 0]))),
    ]
}

fn cut() -> Vec<OddFile> {
    let (chunks, bytes) = (plain(), plain().bytes());
    let (header, data) = (chunks.checksum_of(b"IHDR"), chunks.checksum_of(b"IDAT"));
    let places = [
        ("signature", 8),
        ("header", 20),
        ("header-checksum", header + 2),
        ("before-data", header + 4),
        ("data-name", header + 10),
        ("data-start", header + 13),
        ("half", (header + data) / 2),
        ("data", data - 2),
        ("data-end", data),
        ("data-checksum", data + 2),
        ("before-end", data + 4),
        ("end-name", data + 10),
        ("end-checksum", data + 14),
    ];
    let mut files: Vec<OddFile> = places.map(|(place, at)| file(format!("cut-{place}"), bytes[..at].to_vec())).to_vec();
    for interlaced in [false, true] {
        let chunks = Chunks::image(300, 200, 8, RGBA, interlaced);
        let name = format!("cut-large{}", if interlaced { "-interlaced" } else { "" });
        files.push(file(name, chunks.bytes()[..chunks.checksum_of(b"IDAT") / 2].to_vec()));
    }
    files
}

/// Headers that do not match the data.
fn headers() -> Vec<OddFile> {
    let changed = |at: usize, values: &[u8]| {
        plain().change(b"IHDR", |header| header[at..at + values.len()].copy_from_slice(values)).bytes()
    };
    vec![
        file("lying-width-0", changed(0, &[0; 4])),
        file("lying-height-0", changed(4, &[0; 4])),
        file("lying-huge", changed(0, &[0, 1, 0, 0, 0, 1, 0, 0])),
        file("lying-past-31-bits", changed(0, &[0x80])),
        file("lying-higher", changed(4, &[0, 0, 0, 15])),
        file("lying-much-higher", changed(4, &[0, 0, 1, 15])),
        file("lying-lower", changed(4, &[0, 0, 0, 9])),
        file("lying-wider", changed(0, &[0, 0, 0, 24])),
        file("lying-narrower", changed(0, &[0, 0, 0, 20])),
        file("lying-interlaced", changed(12, &[1])),
        file("header-depth-3", changed(8, &[3])),
        file("header-depth-4-of-rgb", changed(8, &[4])),
        file("header-depth-0", changed(8, &[0])),
        file("header-colours-1", changed(9, &[1])),
        file("header-colours-7", changed(9, &[7])),
        file("header-compression-1", changed(10, &[1])),
        file("header-filters-1", changed(11, &[1])),
        file("header-interlacing-2", changed(12, &[2])),
        file("header-short", plain().change(b"IHDR", |header| header.truncate(12)).bytes()),
        file("header-long", plain().change(b"IHDR", |header| header.push(0)).bytes()),
    ]
}

/// Wrong compressed data.
fn data() -> Vec<OddFile> {
    let rows = rows(23, 14, 8, RGB, false);
    let of = |data: &[u8]| plain().change(b"IDAT", |content| *content = data.to_vec()).bytes();
    let stream = compressed(&rows);
    let changed = |at: usize, value: u8| {
        let mut stream = stream.clone();
        stream[at] ^= value;
        of(&stream)
    };
    let mut filters = rows.clone();
    filters[5 * 70] = 5;
    vec![
        file("zlib-method", changed(0, 1)),
        file("zlib-window", changed(0, 0x80)),
        file("zlib-check", changed(1, 1)),
        file("zlib-dictionary", changed(1, 0x20)),
        file("zlib-first-bytes", changed(3, 0xff)),
        file("zlib-middle", changed(stream.len() / 2, 0x10)),
        file("zlib-sum", changed(stream.len() - 1, 1)),
        file("zlib-without-sum", of(&stream[..stream.len() - 4])),
        file("zlib-trailing", of(&[stream.as_slice(), b"trailing"].concat())),
        file("zlib-too-many-rows", of(&compressed(&[rows.as_slice(), &rows].concat()))),
        file("zlib-too-few-rows", of(&compressed(&rows[..rows.len() - 71]))),
        file("zlib-part-of-a-row", of(&compressed(&rows[..rows.len() - 7]))),
        file("zlib-one-byte-too-few", of(&compressed(&rows[..rows.len() - 1]))),
        file("zlib-filter-5", of(&compressed(&filters))),
        file("zlib-rubbish", of(b"rubbish that is no zlib stream")),
    ]
}

//! Odd behaviours of libjpeg that real files rely on, each in a tiny file. Expected are the results
//! of Pillow 12.3 for the same bytes.

use in18_image::{Decoder, Error, Rgb8Image};
use jpeg_encoder::{ColorType, Encoder};

/// 29 x 21 pixels, 4:2:0, with the typical Huffman tables: 2 x 2 MCUs.
const PHOTO: &[u8] = include_bytes!("golden/jpeg_420.jpg");
/// The same image with a restart after every row of MCUs.
const RESTARTS: &[u8] = include_bytes!("golden/jpeg_restarts.jpg");
/// The same image in many scans.
const PROGRESSIVE: &[u8] = include_bytes!("golden/jpeg_progressive.jpg");
/// 29 x 21 pixels of four inks.
const INKS: &[u8] = include_bytes!("golden/jpeg_cmyk.jpg");

fn decode(bytes: &[u8]) -> Result<Rgb8Image, Error> {
    let mut image = Rgb8Image::new();
    Decoder::new().decode(bytes, &mut image).map(|()| image)
}

/// Offsets of the markers `0xff marker` up to the first scan, including its own.
fn markers(bytes: &[u8], marker: u8) -> Vec<usize> {
    let (mut at, mut found) = (2, Vec::new());
    loop {
        if bytes[at + 1] == marker {
            found.push(at);
        }
        if bytes[at + 1] == 0xda {
            return found;
        }
        at += 2 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
    }
}

/// `bytes` without all segments of one marker.
fn without(bytes: &[u8], marker: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for at in markers(&bytes.clone(), marker).into_iter().rev() {
        let length = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        bytes.drain(at..at + 2 + length);
    }
    bytes
}

/// `bytes` with others inserted at an offset.
fn with(bytes: &[u8], at: usize, others: &[u8]) -> Vec<u8> {
    [&bytes[..at], others, &bytes[at..]].concat()
}

/// Where the entropy-coded data of the first scan begin.
fn data_of(bytes: &[u8]) -> usize {
    let scan = markers(bytes, 0xda)[0];
    scan + 2 + usize::from(bytes[scan + 3])
}

#[test]
fn what_libjpeg_only_warns_of_changes_nothing() {
    let scan = markers(PHOTO, 0xda)[0];
    let end = PHOTO.len() - 2;
    let cases = [
        ("typical Huffman tables left out", without(PHOTO, 0xc4)),
        ("no JFIF segment", without(PHOTO, 0xe0)),
        ("fill bytes before a marker", with(PHOTO, scan, &[0xff, 0xff, 0xff])),
        ("junk between segments", with(PHOTO, scan, &[1, 2, 3, 0xff, 0, 4])),
        ("a restart outside of a scan", with(PHOTO, scan, &[0xff, 0xd3])),
        ("DNL", with(PHOTO, scan, &[0xff, 0xdc, 0, 4, 0, 99])),
        ("a comment of length 0", with(PHOTO, scan, &[0xff, 0xfe, 0, 0])),
        ("junk before the end", with(PHOTO, end, &[1, 2, 0xff, 0, 0xff])),
        ("junk after the end", [PHOTO, &[0xff, 0xda, 0xff, 0xc0, 0, 1]].concat()),
        ("a band that no sequential scan has", {
            let mut bytes = PHOTO.to_vec();
            bytes[data_of(PHOTO) - 3..data_of(PHOTO)].copy_from_slice(&[0, 0, 0]);
            bytes
        }),
        ("tables in an image of their own", {
            let tables = markers(PHOTO, 0xc0)[0];
            let mut bytes = [&PHOTO[..tables], &[0xff, 0xd9], PHOTO].concat();
            bytes.drain(tables + 4..tables + 4 + tables - 2);
            bytes
        }),
    ];
    let photo = decode(PHOTO).unwrap();
    for (name, bytes) in cases {
        match decode(&bytes) {
            Ok(image) => assert!(image == photo, "{name}"),
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn what_libjpeg_or_pillow_give_up_on_is_refused() {
    let scan = markers(PHOTO, 0xda)[0];
    let frame = markers(PHOTO, 0xc0)[0];
    let end = PHOTO.len() - 2;
    let changed = |at: usize, value: u8| {
        let mut bytes = PHOTO.to_vec();
        bytes[at] = value;
        bytes
    };
    let cases = [
        ("no quantisation tables", without(PHOTO, 0xdb), "quantisation table 0 that is not there"),
        ("no Huffman tables, progressive", without(PROGRESSIVE, 0xc4), "Huffman table 0 that is not there"),
        ("a second start", with(PHOTO, scan, &[0xff, 0xd8]), "two starts"),
        ("a second frame header", with(PHOTO, scan, &PHOTO[frame..frame + 19]), "two frame headers"),
        ("a second scan", with(PHOTO, end, &PHOTO[scan..end]), "a scan after the last one"),
        ("a broken table after the scan", with(PHOTO, end, &[0xff, 0xc4, 0, 3, 0]), "length is not that"),
        ("a sampling factor of 5", changed(frame + 11, 0x52), "sampling factors outside of 1 to 4"),
        ("a sampling factor of 3", changed(frame + 11, 0x31).tap(frame + 14, 0x21), "2 of 3 columns"),
        ("13 blocks interleaved", changed(frame + 11, 0x43).tap(frame + 14, 0x11), "14 blocks of a scan interleaved"),
        ("a component that is not there", changed(scan + 5, 9), "a component 9"),
        ("progressive without an end", PROGRESSIVE[..PROGRESSIVE.len() - 2].to_vec(), "cut short"),
        ("two channels", changed(frame + 9, 2), "2 channels"),
    ];
    for (name, bytes, expected) in cases {
        let error = decode(&bytes).expect_err(name).to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
}

/// A second change in a chain.
trait Tap {
    fn tap(self, at: usize, value: u8) -> Self;
}

impl Tap for Vec<u8> {
    fn tap(mut self, at: usize, value: u8) -> Self {
        self[at] = value;
        self
    }
}

#[test]
fn a_lost_restart_costs_its_own_interval_only() {
    // Two intervals, of 16 rows and of 5 rows. Without its marker, the second interval has no data:
    // its first MCU is decoded from zeros, and the other MCU stays grey.
    let whole = decode(RESTARTS).unwrap();
    let restart = RESTARTS.windows(2).rposition(|pair| pair == [0xff, 0xd0]).unwrap();
    let mut lost = RESTARTS.to_vec();
    lost.drain(restart..restart + 2);
    let lost = decode(&lost).unwrap();
    let row = 29 * 3;
    // Upsampling mixes the last row above a border with the row below.
    assert!(lost.pixels()[..15 * row] == whole.pixels()[..15 * row]);
    for y in 17..21 {
        assert!(lost.pixels()[y * row..][18 * 3..row].iter().all(|&value| value == 128));
    }
    // A restart with a number a little ahead counts as a later restart. One with a number far ahead
    // counts as this one.
    for (number, is_taken) in [(0xd1, false), (0xd2, false), (0xd3, true), (0xd5, true)] {
        let mut other = RESTARTS.to_vec();
        other[restart + 1] = number;
        assert_eq!(decode(&other).unwrap() == whole, is_taken, "{number:x}");
    }
}

#[test]
fn junk_after_the_end_of_a_long_file_with_restarts_changes_nothing() {
    // Pillow reads chunks of 64 KiB. Decoding that stops at the end of a chunk must not go back to
    // before a restart.
    let noise: Vec<u8> = (0..400 * 300 * 3_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for interval in [1, 3, 50] {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, 95);
        encoder.set_restart_interval(interval);
        encoder.encode(&noise, 400, 300, ColorType::Rgb).unwrap();
        assert!(bytes.len() > 3 << 16);
        let whole = decode(&bytes).unwrap();
        bytes.push(0);
        assert!(decode(&bytes).unwrap() == whole);
    }
}

#[test]
fn missing_low_frequencies_are_guessed() {
    // The first scan brings DC coefficients. After it, the file ends.
    let first = data_of(PROGRESSIVE);
    let next = first + PROGRESSIVE[first..].windows(2).position(|pair| pair == [0xff, 0xc4]).unwrap();
    let image = decode(&[&PROGRESSIVE[..next], &[0xff, 0xd9]].concat()).unwrap();
    // Blocks with a single colour each would not have this many.
    let mut colours: Vec<_> = image.pixels().chunks(3).collect();
    colours.sort_unstable();
    colours.dedup();
    assert!(colours.len() > 100, "{} colours", colours.len());
}

#[test]
fn inks_are_adobes_even_without_its_marker() {
    let inks = decode(INKS).unwrap();
    assert!(decode(&without(INKS, 0xee)).unwrap() == inks);
}

#[test]
fn endless_scans_are_refused() {
    // A refining scan of DC coefficients. No rule forbids repeating it.
    let mut bytes = PROGRESSIVE[..PROGRESSIVE.len() - 2].to_vec();
    for _ in 0..500 {
        bytes.extend([0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0x10, 0xff, 0xff]);
    }
    bytes.extend([0xff, 0xd9]);
    let error = decode(&bytes).unwrap_err().to_string();
    assert!(error.contains("more than 500 scans"), "{error}");
}

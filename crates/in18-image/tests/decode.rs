//! Bytes that are not a good image, and reused buffers.

use in18_image::{Crop, Decoder, Error, Resizer, Rgb8Image, Size, header};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use proptest::prelude::*;

const PHOTO: &[u8] = include_bytes!("golden/jpeg_420.jpg");
const PNG: &[u8] = include_bytes!("golden/png_rgb.png");
const SIZE: Size = Size::new(29, 21);

fn decode(bytes: &[u8]) -> Result<Rgb8Image, Error> {
    let mut image = Rgb8Image::new();
    Decoder::new().decode(bytes, &mut image).map(|()| image)
}

/// A JPEG header that announces a size, and an empty scan.
fn announcing(width: u16, height: u16, frame_marker: u8, precision: u8) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8, 0xff, frame_marker, 0, 11, precision];
    bytes.extend(height.to_be_bytes());
    bytes.extend(width.to_be_bytes());
    bytes.extend([1, 1, 0x11, 0, 0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 0xff, 0xd9]);
    bytes
}

#[test]
fn headers_tell_the_size_without_the_pixels() {
    assert_eq!(header(PHOTO), Ok(SIZE));
    assert_eq!(header(PNG), Ok(SIZE));
    assert_eq!(header(&PNG[..24]), Ok(SIZE));
    assert_eq!(header(&announcing(65_535, 65_535, 0xc0, 8)), Ok(Size::new(65_535, 65_535)));
}

#[test]
fn bad_images_are_refused_with_a_reason() {
    struct Case {
        name: &'static str,
        bytes: Vec<u8>,
        expected: &'static str,
    }
    let mut huge_png = PNG.to_vec();
    huge_png[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let cases = [
        Case {
            name: "huge JPEG",
            bytes: announcing(65_535, 65_535, 0xc0, 8),
            expected: "expected at most 178956970 pixels, got an image of 65535 x 65535",
        },
        Case {
            name: "huge PNG",
            bytes: huge_png,
            expected: "expected at most 178956970 pixels, got an image of 65536 x 65536",
        },
        Case {
            name: "no height",
            bytes: announcing(5, 0, 0xc0, 8),
            expected: "expected a readable JPEG image, got a damaged one: a size of 5 x 0",
        },
        Case {
            name: "12 bits",
            bytes: announcing(5, 5, 0xc1, 12),
            expected: "expected a JPEG image with 8-bit Huffman-coded colours, got 12 bits a channel",
        },
        Case {
            name: "arithmetic coding",
            bytes: announcing(5, 5, 0xc9, 8),
            expected: "expected a JPEG image with 8-bit Huffman-coded colours, got arithmetic coding",
        },
        Case {
            name: "cut short in the scan",
            bytes: PHOTO[..PHOTO.len() - 40].to_vec(),
            expected: "expected a whole JPEG image, got one cut short after ",
        },
        Case {
            name: "cut short in the header",
            bytes: PHOTO[..100].to_vec(),
            expected: "expected a whole JPEG image, got one cut short after 100 bytes",
        },
        Case {
            name: "a PNG cut short",
            bytes: PNG[..PNG.len() / 2].to_vec(),
            expected: "expected a whole PNG image, got one cut short after ",
        },
        Case {
            name: "a PNG with a flipped bit",
            bytes: {
                let mut bytes = PNG.to_vec();
                bytes[PNG.len() / 2] ^= 1;
                bytes
            },
            expected: "expected a readable PNG image, got a damaged one: ",
        },
        Case { name: "a GIF", bytes: b"GIF89a".to_vec(), expected: "expected a JPEG or PNG image, got a GIF" },
    ];
    for case in cases {
        let error = decode(&case.bytes).expect_err(case.name).to_string();
        assert!(error.starts_with(case.expected), "{}: {error}", case.name);
        assert!(!error.contains('\n'), "{}: {error}", case.name);
    }
}

#[test]
fn a_decoder_and_its_image_can_be_used_again() {
    let mut decoder = Decoder::new();
    let mut image = Rgb8Image::new();
    let (photo, png) = (decode(PHOTO).unwrap(), decode(PNG).unwrap());
    for _ in 0..2 {
        decoder.decode(PHOTO, &mut image).unwrap();
        assert_eq!(image, photo);
        assert!(decoder.decode(&PNG[..200], &mut image).is_err());
        decoder.decode(PNG, &mut image).unwrap();
        assert_eq!(image, png);
    }
}

#[test]
fn pixels_outside_of_a_crop_do_not_contribute() {
    // A crop of a black square in a white image stays black, enlarged or reduced.
    let size = Size::new(60, 50);
    let inside = |x: u32, y: u32| (10..40).contains(&x) && (5..45).contains(&y);
    let pixels = (0..50).flat_map(|y| (0..60).flat_map(move |x| [if inside(x, y) { 0 } else { 255 }; 3])).collect();
    let image = Rgb8Image::from_pixels(size, pixels).unwrap();
    let crop = Crop { left: 10, top: 5, width: 30, height: 40 };
    let mut resizer = Resizer::new();
    for out in [(7, 9), (64, 64), (30, 12), (11, 40), (30, 40)] {
        let out = Size::new(out.0, out.1);
        let mut destination = vec![9; out.bytes()];
        resizer.resize(&image, crop, out, &mut destination).unwrap();
        assert!(destination.iter().all(|&v| v == 0), "{out}");
    }
}

#[test]
fn crops_outside_of_the_image_are_refused() {
    let image = decode(PNG).unwrap();
    for (left, top, width, height) in [(20, 0, 10, 5), (0, 20, 5, 2), (0, 0, 0, 5), (u32::MAX, 0, 2, 2)] {
        let crop = Crop { left, top, width, height };
        let error = Resizer::new().resize(&image, crop, Size::new(2, 2), &mut [0; 12]).unwrap_err();
        assert_eq!(error, Error::Crop { image: SIZE, crop });
    }
}

/// Ways to write the same coefficients.
#[derive(Debug, Clone, Copy)]
struct Writing {
    progressive: bool,
    optimized: bool,
    restart_interval: u16,
}

/// `pixels`, (H, W, 3), as a JPEG.
fn encode(pixels: &[u8], size: Size, sampling: SamplingFactor, writing: Writing) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 80);
    encoder.set_sampling_factor(sampling);
    encoder.set_progressive(writing.progressive);
    encoder.set_optimized_huffman_tables(writing.optimized);
    // The encoder loses blocks if it has both restarts and optimised tables.
    if writing.restart_interval > 0 && !writing.optimized {
        encoder.set_restart_interval(writing.restart_interval);
    }
    encoder.encode(pixels, size.width as u16, size.height as u16, ColorType::Rgb).unwrap();
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn scans_and_restarts_change_no_pixel(
        width in 1..70_u32, height in 1..50_u32, seed: u32, kind in 0..7_usize,
        progressive: bool, optimized: bool, restart_interval in 0..5_u16,
    ) {
        let sampling = [
            SamplingFactor::F_1_1, SamplingFactor::F_2_1, SamplingFactor::F_1_2, SamplingFactor::F_2_2,
            SamplingFactor::F_4_1, SamplingFactor::F_4_2, SamplingFactor::F_2_4,
        ][kind];
        let size = Size::new(width, height);
        // Slopes and noise.
        let value = |n: usize| (n as u32 / 3).wrapping_add((n as u32).wrapping_mul(seed | 1) >> 28) as u8;
        let pixels: Vec<u8> = (0..size.bytes()).map(value).collect();
        let plain = Writing { progressive: false, optimized: false, restart_interval: 0 };
        let plain = decode(&encode(&pixels, size, sampling, plain)).unwrap();
        let other = decode(&encode(&pixels, size, sampling, Writing { progressive, optimized, restart_interval }));
        prop_assert_eq!(plain, other.unwrap());
    }
}

proptest! {
    #[test]
    fn every_cut_is_noticed(at in 0..PHOTO.len() - 1) {
        prop_assert!(decode(&PHOTO[..at]).is_err());
    }

    #[test]
    fn headers_of_anything_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), kind in 0..3) {
        match kind {
            0 => bytes.splice(0..0, [0xff, 0xd8, 0xff]).for_each(drop),
            1 => bytes.splice(0..0, *b"\x89PNG\r\n\x1a\n").for_each(drop),
            _ => {}
        }
        let _ = header(&bytes);
    }

    #[test]
    fn damaged_photos_never_panic(at in 2..PHOTO.len(), value: u8) {
        let mut bytes = PHOTO.to_vec();
        bytes[at] = value;
        let _ = decode(&bytes);
    }
}

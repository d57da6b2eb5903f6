//! The front door of images: header, decode and resize of any bytes. Never panics; an image is as its header says, a region as
//! in the whole image, and turned upright it keeps its pixels' number.
#![no_main]

use in18_image::{Crop, Decoder, Orientation, Resizer, Rgb8Image, Size, header};
use libfuzzer_sys::fuzz_target;

/// Larger ones take the time of a thousand others.
const MOST_PIXELS: u64 = 1 << 18;

fuzz_target!(|bytes: &[u8]| {
    let announced = header(bytes);
    if announced.as_ref().is_ok_and(|size| size.pixels() > MOST_PIXELS) {
        return;
    }
    let mut image = Rgb8Image::new();
    let orientation = Orientation::of(bytes);
    if Decoder::new().decode(bytes, &mut image).is_ok() {
        assert_eq!(announced, Ok(image.size()));
        let region = |size: Size| {
            let (width, height) = (size.width.div_ceil(2), size.height.div_ceil(3));
            Crop { left: size.width - width, top: (size.height - height) / 2, width, height }
        };
        let mut part = Rgb8Image::new();
        let crop = Decoder::new().decode_region(bytes, &mut part, region).expect("a part of what decodes decodes");
        for row in crop.top..crop.top + crop.height {
            let start = (row as usize * image.size().width as usize + crop.left as usize) * 3;
            let pixels = start..start + crop.width as usize * 3;
            assert_eq!(part.pixels()[pixels.clone()], image.pixels()[pixels], "a region differs");
        }
        let mut turned = Rgb8Image::new();
        orientation.turn(&image, orientation.stored_region(Crop::whole(orientation.turned(image.size())), image.size()), &mut turned);
        assert_eq!(turned.size(), orientation.turned(image.size()));
        let out = Size::new(32, 32);
        let mut pixels = vec![0; out.bytes()];
        Resizer::new().resize(&image, Crop::whole(image.size()), out, &mut pixels).expect("a whole image is resized");
    }
});

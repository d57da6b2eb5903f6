//! JPEGs and PNGs with good and bad metadata: orientations, colour profiles, foreign segments.

use super::OddFile;
use super::jpeg::{APP0, APP1, APP2, APP13, JFIF, Jpeg, SOF0, all};
use super::picture::Picture;
use super::png::{Chunks, RGB};
use super::scan::Tables;

/// The files of this kind.
pub fn files() -> Vec<OddFile> {
    [orientations(), malformed(), of_others(), xmp(), in_pngs()].concat()
}

/// Types that TIFF 6.0 allows for a number, and other types.
const BYTE: u16 = 1;
const ASCII: u16 = 2;
const SHORT: u16 = 3;
const LONG: u16 = 4;
const RATIONAL: u16 = 5;

const ORIENTATION: u16 = 0x0112;

/// A picture that every rotation and mirroring changes, after some segments.
fn image(segments: impl FnOnce(Jpeg) -> Jpeg) -> Vec<u8> {
    let picture = Picture::new("metadata", 26, 17, &[(2, 1), (1, 1), (1, 1)]);
    let start = segments(Jpeg::new(Tables::typical()));
    start.quantization(1).huffman().frame(SOF0, &picture).scan(&picture, &all(&picture)).end()
}

fn file(name: &str, segments: impl FnOnce(Jpeg) -> Jpeg) -> OddFile {
    OddFile::new(format!("{name}.jpg"), image(segments))
}

/// A directory of a TIFF structure that is being written.
struct Tiff {
    is_little: bool,
    bytes: Vec<u8>,
}

impl Tiff {
    /// A header, directly followed by its first directory, which has `entries` entries.
    fn new(is_little: bool, entries: u16) -> Self {
        let bytes = if is_little { b"II*\0".to_vec() } else { b"MM\0*".to_vec() };
        Self { is_little, bytes }.long(8).short(entries)
    }

    fn short(mut self, value: u16) -> Self {
        self.bytes.extend(if self.is_little { value.to_le_bytes() } else { value.to_be_bytes() });
        self
    }

    fn long(mut self, value: u32) -> Self {
        self.bytes.extend(if self.is_little { value.to_le_bytes() } else { value.to_be_bytes() });
        self
    }

    /// Appends an entry that contains its two-byte value.
    fn entry(self, tag: u16, kind: u16, count: u32, value: u16) -> Self {
        self.short(tag).short(kind).long(count).short(value).short(0)
    }

    /// The content of an EXIF segment.
    fn exif(self) -> Vec<u8> {
        [b"Exif\0\0".as_slice(), &self.long(0).bytes].concat()
    }
}

/// EXIF with only an orientation.
fn exif(is_little: bool, number: u16) -> Vec<u8> {
    Tiff::new(is_little, 1).entry(ORIENTATION, SHORT, 1, number).exif()
}

fn orientations() -> Vec<OddFile> {
    let mut files = Vec::new();
    for (order, is_little) in [("little", true), ("big", false)] {
        for number in (0..=9).chain([0x0106, 65_535]) {
            let name = format!("exif-{order}-{number}");
            files.push(file(&name, |jpeg| jpeg.segment(APP1, &exif(is_little, number))));
        }
    }
    files
}

/// Malformed directories.
fn malformed() -> Vec<OddFile> {
    let six = || exif(true, 6);
    let tiff = |entries| Tiff::new(true, entries);
    let segments: [(&str, Vec<u8>); 29] = [
        ("count-2", tiff(1).entry(ORIENTATION, SHORT, 2, 6).exif()),
        ("count-0", tiff(1).entry(ORIENTATION, SHORT, 0, 6).exif()),
        ("count-huge", tiff(1).entry(ORIENTATION, SHORT, 0xffff_ffff, 6).exif()),
        ("count-3", tiff(1).entry(ORIENTATION, SHORT, 3, 26).long(0).short(8).short(1).exif()),
        ("byte", tiff(1).entry(ORIENTATION, BYTE, 1, 6).exif()),
        ("ascii", tiff(1).entry(ORIENTATION, ASCII, 2, u16::from(b'6')).exif()),
        ("long", tiff(1).entry(ORIENTATION, LONG, 1, 6).exif()),
        ("long-2", tiff(1).entry(ORIENTATION, LONG, 2, 26).long(0).long(5).long(3).exif()),
        ("rational", tiff(1).entry(ORIENTATION, RATIONAL, 1, 26).long(0).long(18).long(3).exif()),
        ("signed-byte", tiff(1).entry(ORIENTATION, 6, 1, 6).exif()),
        ("undefined", tiff(1).entry(ORIENTATION, 7, 1, 6).exif()),
        ("signed-short", tiff(1).entry(ORIENTATION, 8, 1, 6).exif()),
        ("signed-long", tiff(1).entry(ORIENTATION, 9, 1, 6).exif()),
        ("float", tiff(1).short(ORIENTATION).short(11).long(1).long(6_f32.to_bits()).exif()),
        ("unknown-type", tiff(1).entry(ORIENTATION, 77, 1, 6).exif()),
        ("twice", tiff(2).entry(ORIENTATION, SHORT, 1, 6).entry(ORIENTATION, SHORT, 1, 3).exif()),
        ("behind-others", tiff(2).entry(0x010f, ASCII, 2, 65).entry(ORIENTATION, SHORT, 1, 6).exif()),
        (
            "behind-an-offset-past-the-end",
            tiff(2).entry(0x010f, ASCII, 99, 9999).entry(ORIENTATION, SHORT, 1, 6).exif(),
        ),
        ("behind-an-unknown-type", tiff(2).entry(0x010f, 99, 1, 1).entry(ORIENTATION, SHORT, 1, 6).exif()),
        ("more-entries-than-there-are", tiff(9).entry(ORIENTATION, SHORT, 1, 6).exif()),
        ("no-entries", tiff(0).entry(ORIENTATION, SHORT, 1, 6).exif()),
        ("cut-in-entry", six()[..20].to_vec()),
        ("cut-in-value", six()[..25].to_vec()),
        ("cut-behind-value", six()[..28].to_vec()),
        ("cut-in-header", six()[..11].to_vec()),
        ("empty", b"Exif\0\0".to_vec()),
        ("wrong-byte-order", [b"Exif\0\0IM*\0".as_slice(), &six()[10..]].concat()),
        ("wrong-number", [b"Exif\0\0II+\0".as_slice(), &six()[10..]].concat()),
        ("directory-past-the-end", [&six()[..10], &[0xff, 0xff, 0, 0], &six()[14..]].concat()),
    ];
    let one = |(name, content): (&str, Vec<u8>)| file(&format!("exif-{name}"), |jpeg| jpeg.segment(APP1, &content));
    let mut files: Vec<OddFile> = segments.into_iter().map(one).collect();
    let one_zero = [b"Exif\0\xff".as_slice(), &six()[6..]].concat();
    let in_front = [b"Exif\0\0".as_slice(), &six()].concat();
    files.extend([
        file("exif-behind-jfif", |jpeg| jpeg.jfif().segment(APP1, &six())),
        file("exif-behind-other-app1", |jpeg| jpeg.segment(APP1, b"http://example.org/").segment(APP1, &six())),
        file("exif-behind-fill-bytes", |jpeg| jpeg.raw(&[0xff, 0xff]).segment(APP1, &six())),
        file("exif-behind-junk", |jpeg| jpeg.raw(&[1, 2, 3]).segment(APP1, &six())),
        file("exif-behind-restart", |jpeg| jpeg.raw(&[0xff, 0xd0]).segment(APP1, &six())),
        file("exif-two", |jpeg| jpeg.segment(APP1, &exif(true, 6)).segment(APP1, &exif(true, 3))),
        file("exif-two-first-says-nothing", |jpeg| jpeg.segment(APP1, &tiff(0).exif()).segment(APP1, &six())),
        file("exif-two-first-empty", |jpeg| jpeg.segment(APP1, b"Exif\0\0").segment(APP1, &six())),
        file("exif-other-start", |jpeg| jpeg.segment(APP1, &one_zero)),
        file("exif-start-twice", |jpeg| jpeg.segment(APP1, &in_front)),
        file("exif-in-app2", |jpeg| jpeg.segment(APP2, &six())),
    ]);
    let picture = Picture::new("metadata", 26, 17, &[(2, 1), (1, 1), (1, 1)]);
    let late = Jpeg::new(Tables::typical()).quantization(1).huffman().frame(SOF0, &picture).segment(APP1, &six());
    files.push(OddFile::new("exif-behind-frame.jpg", late.scan(&picture, &all(&picture)).end()));
    let behind = Jpeg::new(Tables::typical()).quantization(1).huffman().frame(SOF0, &picture);
    let behind = behind.scan(&picture, &all(&picture)).segment(APP1, &six()).end();
    files.push(OddFile::new("exif-behind-scan.jpg", behind));
    files
}

/// Segments of colour profiles, of Photoshop, and of several pictures in one file.
fn of_others() -> Vec<OddFile> {
    let icc = |number: u8, of: u8| [b"ICC_PROFILE\0".as_slice(), &[number, of], &[number; 40]].concat();
    let photoshop = |resources: &[u8]| [b"Photoshop 3.0\0".as_slice(), resources].concat();
    let resolution = b"8BIM\x03\xed\0\0\0\0\0\x10\0\x48\0\0\0\x01\0\x01\0\x48\0\0\0\x01\0\x01";
    let mpf = b"MPF\0II*\0\x08\0\0\0\x01\0\x01\xb0\x04\0\x02\0\0\0\0\0\0\0";
    vec![
        file("icc-order", |jpeg| jpeg.segment(APP2, &icc(2, 2)).segment(APP2, &icc(1, 2))),
        file("icc-missing", |jpeg| jpeg.segment(APP2, &icc(1, 3)).segment(APP2, &icc(3, 3))),
        file("icc-twice", |jpeg| jpeg.segment(APP2, &icc(1, 2)).segment(APP2, &icc(1, 2))),
        file("icc-counts-differ", |jpeg| jpeg.segment(APP2, &icc(1, 2)).segment(APP2, &icc(2, 3))),
        file("icc-number-0", |jpeg| jpeg.segment(APP2, &icc(0, 1))),
        file("icc-cut", |jpeg| jpeg.segment(APP2, b"ICC_PROFILE\0\x01")),
        file("photoshop", |jpeg| jpeg.segment(APP13, &photoshop(resolution))),
        file("photoshop-two", |jpeg| {
            jpeg.segment(APP13, &photoshop(resolution)).segment(APP13, &photoshop(resolution))
        }),
        file("photoshop-cut", |jpeg| jpeg.segment(APP13, &photoshop(&resolution[..20]))),
        file("photoshop-nameless", |jpeg| jpeg.segment(APP13, &photoshop(b"8BIM\x04\x04"))),
        file("photoshop-size-too-large", |jpeg| jpeg.segment(APP13, &photoshop(b"8BIM\x04\x04\0\0\x7f\xff\xff\xff12"))),
        file("jfif-cut", |jpeg| jpeg.segment(APP0, &JFIF[..5])),
        file("jfif-short", |jpeg| jpeg.segment(APP0, &JFIF[..7])),
        file("jfif-twice", |jpeg| jpeg.jfif().jfif()),
        file("jfif-centimetres", |jpeg| jpeg.segment(APP0, b"JFIF\0\x01\x01\x02\0\x64\0\x64\0\0")),
        file("jfxx", |jpeg| jpeg.segment(APP0, b"JFXX\0\x13\x01\x01\x01\x02\x03")),
        file("mpf", |jpeg| jpeg.segment(APP2, mpf)),
        file("mpf-bad", |jpeg| jpeg.segment(APP2, b"MPF\0MM\0\0")),
        file("flashpix", |jpeg| jpeg.segment(APP2, b"FPXR\0\0\0")),
        file("motion", |jpeg| jpeg.segment(APP0, b"AVI1\0\0\0\0\0\0\0\0\0\0")),
    ]
}

/// Orientations in XMP, which count where EXIF has none.
fn xmp() -> Vec<OddFile> {
    let start: &[u8] = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><rdf:Description ";
    let says = |text: &[u8]| [start, text, b" x:y=\"2\"/></x:xmpmeta>"].concat();
    let attribute = || says(b"tiff:Orientation=\"6\"");
    vec![
        file("xmp-attribute", |jpeg| jpeg.segment(APP1, &attribute())),
        file("xmp-element", |jpeg| jpeg.segment(APP1, &says(b"><tiff:Orientation>8</tiff:Orientation"))),
        file("xmp-single-quotes", |jpeg| jpeg.segment(APP1, &says(b"tiff:Orientation='6'"))),
        file("xmp-two-digits", |jpeg| jpeg.segment(APP1, &says(b"tiff:Orientation=\"36\""))),
        file("xmp-no-digit", |jpeg| jpeg.segment(APP1, &says(b"tiff:Orientation=\"x\" tiff:Orientation=\"5\""))),
        file("xmp-9", |jpeg| jpeg.segment(APP1, &says(b"tiff:Orientation=\"9\""))),
        file("xmp-with-exif", |jpeg| jpeg.segment(APP1, &attribute()).segment(APP1, &exif(true, 3))),
        file("xmp-with-upright-exif", |jpeg| jpeg.segment(APP1, &exif(true, 1)).segment(APP1, &attribute())),
        file("xmp-with-other-exif", |jpeg| jpeg.segment(APP1, &Tiff::new(true, 0).exif()).segment(APP1, &attribute())),
        file("xmp-with-broken-exif", |jpeg| jpeg.segment(APP1, b"Exif\0\0rubbish").segment(APP1, &attribute())),
        file("xmp-two", |jpeg| jpeg.segment(APP1, &attribute()).segment(APP1, &says(b"tiff:Orientation=\"3\""))),
        file("xmp-no-prefix", |jpeg| jpeg.segment(APP1, &attribute()[start.len()..])),
        file("xmp-padded", |jpeg| jpeg.segment(APP1, &[attribute(), vec![b' '; 200], vec![0; 3]].concat())),
    ]
}

/// Orientations in PNGs.
fn in_pngs() -> Vec<OddFile> {
    let image = || Chunks::image(19, 12, 8, RGB, false);
    let international =
        |compressed: u8, text: &[u8]| [b"XML:com.adobe.xmp\0".as_slice(), &[compressed, 0, 0, 0], text].concat();
    let text = b"<rdf:Description tiff:Orientation=\"6\"/>";
    let raw = exif(true, 6)[6..].to_vec();
    let mut profile = b"Raw profile type exif\0\nexif\n      32\n".to_vec();
    profile.extend(exif(true, 6).iter().flat_map(|byte| format!("{byte:02x}").into_bytes()));
    let mut files: Vec<OddFile> = (1..=8)
        .map(|number| {
            let chunks = image().before_data(b"eXIf", &exif(number % 2 == 0, number)[6..]);
            OddFile::new(format!("exif-{number}.png"), chunks.bytes())
        })
        .collect();
    files.extend([
        OddFile::new("exif-behind-data.png", image().after_data(b"eXIf", &raw).bytes()),
        OddFile::new("exif-with-start.png", image().before_data(b"eXIf", &exif(true, 6)).bytes()),
        OddFile::new("exif-empty.png", image().before_data(b"eXIf", b"").bytes()),
        OddFile::new(
            "exif-two.png",
            image().before_data(b"eXIf", &raw).before_data(b"eXIf", &exif(true, 3)[6..]).bytes(),
        ),
        OddFile::new("exif-raw-profile.png", image().before_data(b"tEXt", &profile).bytes()),
        OddFile::new("xmp.png", image().before_data(b"iTXt", &international(0, text)).bytes()),
        OddFile::new("xmp-behind-data.png", image().after_data(b"iTXt", &international(0, text)).bytes()),
        OddFile::new("xmp-wrongly-compressed.png", image().before_data(b"iTXt", &international(1, text)).bytes()),
    ]);
    files
}

//! JPEG, decoded as Pillow 12.3 decodes it: the same pixels, and the same files refused.
//!
//! Pillow decodes with libjpeg-turbo, so libjpeg-turbo's behaviour is the rule here, for damaged
//! files too. Each file below names the part of libjpeg-turbo that it follows. The stages are
//! separate: [`identify`] looks at a file as Pillow does when it opens one, [`markers`] reads
//! headers and tables, [`sequential`] and [`progressive`] turn entropy-coded data into
//! [`coefficients`], and [`output`] turns coefficients into pixels with [`idct`], [`upsample`] and
//! [`color`]. An image of one scan passes through these stages one row of MCUs at a time. Other
//! images gather all coefficients first.
//!
//! Pillow also reads arithmetic and lossless coding. This decoder does not.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod bits;
mod coefficients;
mod color;
mod frame;
mod huffman;
mod idct;
mod identify;
mod kernels;
mod markers;
mod output;
mod progressive;
mod rewrite;
mod scan;
mod sequential;
mod smooth;
mod upsample;

use crate::error::Error;
use crate::geometry::{Crop, Size};
use crate::image::{Rgb8Image, chosen};
use crate::metadata::Metadata;

use bits::{CHUNK, Stream};
use coefficients::Coefficients;
use frame::{BLOCK, Frame, Process};
use huffman::Class;
use markers::{Found, Headers, Scan, Stop};
use output::Output;
use progressive::Accuracy;
pub use rewrite::RESTART_INTERVAL;
use scan::{Layout, Restarts, Tables};
use sequential::Sequential;
use smooth::Smoothing;

const FORMAT: &str = "JPEG";

/// Files with more scans are refused: each scan, however short, may cost as much time as the image
/// is large. libjpeg-turbo's own fuzzers stop at this number; real files have about ten scans.
const MAX_SCANS: usize = 500;

/// If an image needed more blocks than this, their memory is not kept for the next image.
const KEPT_BLOCKS: usize = 1 << 19;

/// Reads the size from the frame header. Reads no other data than the markers before it.
pub(crate) fn header(bytes: &[u8]) -> Result<Size, Error> {
    identify::size(bytes)
}

/// The metadata before the first scan.
pub(crate) fn metadata(bytes: &[u8]) -> Metadata<'_> {
    identify::metadata(bytes)
}

/// Decodes JPEGs, and keeps its memory between them.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    tables: Tables,
    coefficients: Coefficients,
    output: output::Memory,
}

impl Decoder {
    /// Decodes a region of `bytes` into its place in `image`. `choose` picks the region once the
    /// image's size is known.
    pub fn decode(
        &mut self,
        bytes: &[u8],
        image: &mut Rgb8Image,
        choose: impl FnOnce(Size) -> Crop,
    ) -> Result<Crop, Error> {
        let size = identify::check(bytes)?.checked()?;
        let region = chosen(size, choose)?;
        let result = self.decode_identified(bytes, size, region, image).map_err(|stop| match stop {
            Stop::Starved => truncated(bytes),
            Stop::Refused(error) => error,
        });
        self.forget_much();
        result.map(|()| region)
    }

    /// Frees the memory that a large image needed.
    fn forget_much(&mut self) {
        if self.coefficients.blocks.capacity() > KEPT_BLOCKS {
            self.coefficients = Coefficients::default();
        }
    }

    /// Another file with the same coefficients, written to be decoded fast; `None` if there is no
    /// such file.
    pub fn rewrite(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let size = identify::check(bytes).and_then(Size::checked).ok()?;
        let mut stream = Stream::new(bytes);
        let (mut headers, frame, first) = begin(&mut stream, size).ok()?;
        let mut tables = vec![None; frame.components.len()];
        let smoothing = self.gather(&mut stream, &mut headers, first, &frame, &mut tables).ok()?;
        // Guessed coefficients are in no file.
        let is_exact = smoothing.is_none();
        let space = headers.space();
        let written = if is_exact { rewrite::write(&frame, space, &tables, &self.coefficients) } else { None };
        self.forget_much();
        written
    }

    fn decode_identified(&mut self, bytes: &[u8], size: Size, region: Crop, image: &mut Rgb8Image) -> Result<(), Stop> {
        let mut stream = Stream::new(bytes);
        let (mut headers, frame, first) = begin(&mut stream, size)?;
        let tables = vec![None; frame.components.len()];
        let mut image = Image { frame: &frame, region, is_whole: is_whole(bytes), tables, rgb: image.reset(size) };
        if frame.process == Process::Sequential && first.components.len() == frame.components.len() {
            self.decode_one_scan(&mut stream, &mut headers, &first, &mut image)
        } else {
            self.decode_scans(&mut stream, &mut headers, first, &mut image)
        }
    }

    /// Decodes an image whose only scan is `scan`, row by row.
    fn decode_one_scan(
        &mut self,
        stream: &mut Stream<'_>,
        headers: &mut Headers,
        scan: &Scan,
        image: &mut Image<'_>,
    ) -> Result<(), Stop> {
        let mut output = Output::new(image.frame, headers.space(), image.region, &mut self.output)?;
        self.coefficients.reset(image.frame, 1);
        let layout = Layout::of(scan, image.frame, &self.coefficients)?;
        keep_tables(&mut image.tables, image.frame, scan, headers)?;
        build_tables(&mut self.tables, headers, scan)?;
        stream.begin_scan(true);
        let restarts = Restarts::new(headers.restart_interval);
        let rows = layout.rows_per_frame_row;
        let memory = Default::default();
        let mut decoder =
            Sequential { layout: &layout, tables: &self.tables, restarts, memory, is_alone: true, done: 0 };
        // In a whole file, data that the region does not need may be skipped.
        let may_pass = image.is_whole && headers.restart_interval > 0;
        let is_lone = scan.components.len() == 1;
        let columns = output.mcu_columns(|component| if is_lone { 1 } else { component.h });
        let first = if may_pass { output.mcu_rows.start } else { 0 };
        for mcu_row in first..image.frame.mcus_high {
            for row in 0..rows.min(layout.mcus_high - mcu_row * rows) {
                match may_pass {
                    true => {
                        let of_scan = mcu_row * rows + row;
                        // What follows the last MCU is checked as usual.
                        let is_last = of_scan + 1 == layout.mcus_high;
                        let columns = columns.start..if is_last { layout.mcus_wide } else { columns.end };
                        decoder.decode_columns(stream, of_scan, columns, row, &mut self.coefficients)?;
                    }
                    false => decoder.decode_row(stream, row, &mut self.coefficients)?,
                }
            }
            output.write(mcu_row, &self.coefficients, 0, &image.tables, None, image.rgb);
            if image.is_whole && mcu_row + 1 == output.mcu_rows.end && mcu_row + 1 < image.frame.mcus_high {
                return Ok(());
            }
        }
        // All pixels are there. Pillow then only requires that the rest, as far as Pillow has read
        // it, is not wrong.
        stream.limit = stream.limit.min(stream.bits.at.next_multiple_of(CHUNK));
        match headers.read(stream) {
            Ok(Found::End) | Err(Stop::Starved) => Ok(()),
            Ok(Found::Scan(_)) => Err(damaged("a scan after the last one").into()),
            Err(refused) => Err(refused),
        }
    }

    /// Decodes an image of several scans, of which `scan` is the first: first all coefficients,
    /// then the pixels.
    fn decode_scans(
        &mut self,
        stream: &mut Stream<'_>,
        headers: &mut Headers,
        scan: Scan,
        image: &mut Image<'_>,
    ) -> Result<(), Stop> {
        let frame = image.frame;
        let smoothing = self.gather(stream, headers, scan, frame, &mut image.tables)?;
        let mut output = Output::new(frame, headers.space(), image.region, &mut self.output)?;
        for row in 0..frame.mcus_high {
            output.write(row, &self.coefficients, row, &image.tables, smoothing.as_ref(), image.rgb);
        }
        Ok(())
    }

    /// Decodes all scans, of which `scan` is the first, into the coefficients. Returns the
    /// smoothing that guesses missing coefficients.
    fn gather<'f>(
        &mut self,
        stream: &mut Stream<'_>,
        headers: &mut Headers,
        mut scan: Scan,
        frame: &'f Frame,
        quantization: &mut [Option<[u16; BLOCK]>],
    ) -> Result<Option<Smoothing<'f>>, Stop> {
        self.coefficients.reset(frame, frame.mcus_high);
        let mut accuracy = vec![Accuracy::default(); frame.components.len()];
        let (mut scans, mut last_good) = (0, 0);
        loop {
            scans += 1;
            if scans > MAX_SCANS {
                return Err(damaged(&format!("more than {MAX_SCANS} scans")).into());
            }
            let layout = Layout::of(&scan, frame, &self.coefficients)?;
            keep_tables(quantization, frame, &scan, headers)?;
            stream.begin_scan(false);
            let restarts = Restarts::new(headers.restart_interval);
            if frame.process == Process::Progressive {
                progressive::check(&scan)?;
                for part in &scan.components {
                    accuracy[part.index].note(&scan, scans);
                }
                build_tables(&mut self.tables, headers, &scan)?;
                let (tables, coefficients) = (&self.tables, &mut self.coefficients);
                last_good = progressive::decode_scan(stream, &scan, &layout, tables, restarts, coefficients)?;
            } else {
                build_tables(&mut self.tables, headers, &scan)?;
                let memory = Default::default();
                let mut decoder =
                    Sequential { layout: &layout, tables: &self.tables, restarts, memory, is_alone: false, done: 0 };
                for row in 0..layout.mcus_high {
                    decoder.decode_row(stream, row, &mut self.coefficients)?;
                }
            }
            match headers.read(stream)? {
                Found::Scan(next) => scan = next,
                Found::End => break,
            }
        }
        Ok(match frame.process {
            Process::Sequential => None,
            Process::Progressive => Smoothing::of(frame, &accuracy, quantization, scans, last_good),
        })
    }
}

/// Reads the headers, the frame and the first scan header of an image that announced itself with
/// `size`.
fn begin(stream: &mut Stream<'_>, size: Size) -> Result<(Headers, Frame, Scan), Stop> {
    let mut headers = Headers::default();
    let first = loop {
        match headers.read(stream)? {
            Found::Scan(scan) => break scan,
            // Tables may come in a separate image.
            Found::End => headers.end_without_scan()?,
        }
    };
    let frame = headers.frame.clone().ok_or_else(|| damaged("a scan before the frame header"))?;
    if frame.size != size {
        return Err(damaged(&format!("frame headers of {} and {size}", frame.size)).into());
    }
    if frame.process == Process::Sequential {
        headers.assume_typical_tables();
    }
    Ok((headers, frame, first))
}

/// An image being decoded.
#[derive(Debug)]
struct Image<'a> {
    frame: &'a Frame,
    /// The part that is wanted.
    region: Crop,
    /// Whether the file seems to be whole. Then data after the region need not be read.
    is_whole: bool,
    /// Quantisation tables by component, known from the component's first scan on.
    tables: Vec<Option<[u16; BLOCK]>>,
    /// (H, W, 3).
    rgb: &'a mut [u8],
}

/// Keeps the current quantisation tables of components for which `scan` is the first. Later tables
/// do not count.
fn keep_tables(
    tables: &mut [Option<[u16; BLOCK]>],
    frame: &Frame,
    scan: &Scan,
    headers: &Headers,
) -> Result<(), Error> {
    for part in &scan.components {
        let number = usize::from(frame.components[part.index].quantization);
        let table = &mut tables[part.index];
        let missing = || damaged(&format!("a scan with a quantisation table {number} that is not there"));
        if table.is_none() {
            *table = Some(headers.quantization.get(number).copied().flatten().ok_or_else(missing)?);
        }
    }
    Ok(())
}

/// Whether a file ends with the marker that ends an image. Some writers pad files with zeros.
fn is_whole(bytes: &[u8]) -> bool {
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    bytes[..end].ends_with(&[0xff, 0xd9])
}

/// Builds the Huffman tables that `scan` needs.
fn build_tables(tables: &mut Tables, headers: &Headers, scan: &Scan) -> Result<(), Error> {
    let is_progressive = headers.frame.as_ref().is_some_and(|frame| frame.process == Process::Progressive);
    let needs_dc = !is_progressive || (scan.first == 0 && scan.high == 0);
    let needs_ac = !is_progressive || scan.first > 0;
    for part in &scan.components {
        if needs_dc {
            tables.build(headers, Class::Dc, part.dc)?;
        }
        if needs_ac {
            tables.build(headers, Class::Ac, part.ac)?;
        }
    }
    Ok(())
}

fn damaged(reason: &str) -> Error {
    Error::Damaged { format: FORMAT, reason: reason.to_owned() }
}

fn truncated(bytes: &[u8]) -> Error {
    Error::Truncated { format: FORMAT, bytes: bytes.len() }
}

fn unsupported(got: String) -> Error {
    Error::Unsupported { format: FORMAT, got }
}

//! Huffman tables: as a file defines them (T.81 B.2.4.2), as they are looked up (T.81 C and
//! F.2.2.3; libjpeg-turbo's jdhuff.c), and the typical tables that Motion JPEG leaves out (T.81
//! K.3; jstdhuff.c).

use crate::error::Error;

use super::damaged;

/// Bits that index a lookup table.
pub(super) const LOOK: u32 = 10;

/// A table as a DHT segment defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition {
    /// The number of codes of each length. Index 0 is not used.
    pub counts: [u8; 17],
    /// Symbols in the order of their codes, then zeros.
    pub symbols: [u8; 256],
}

/// The meaning of a table's symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Sizes of the differences of DC coefficients.
    Dc,
    /// Runs of zeros and sizes of AC coefficients.
    Ac,
}

/// A table for decoding.
///
/// `lookup` is indexed by the next [`LOOK`] bits. If these hold a code and all bits of the value
/// after the code, the entry is `value << 16 | run << 8 | bits of both`. If they hold only a code,
/// the entry is `symbol << 8 | bits of the code`. If the code is longer, the entry is 0.
#[derive(Debug, Clone)]
pub(super) struct Table {
    definition: Option<(Class, Definition)>,
    pub lookup: Box<[u32; 1 << LOOK]>,
    /// The largest code of each length, −1 if there is none. After 16 bits, everything counts as a
    /// code, which ends a search.
    largest: [i32; 18],
    /// For each length: the number to add to a code to get the index of its symbol.
    offset: [i32; 18],
}

impl Default for Table {
    fn default() -> Self {
        Self { definition: None, lookup: Box::new([0; 1 << LOOK]), largest: [-1; 18], offset: [0; 18] }
    }
}

impl Table {
    /// Builds the table of `definition`. Does nothing if this already is that table.
    pub fn build(&mut self, class: Class, definition: &Definition) -> Result<(), Error> {
        if self.definition.as_ref().is_some_and(|(c, d)| *c == class && d == definition) {
            return Ok(());
        }
        self.definition = None;
        let bad = || damaged("a Huffman table with impossible codes");
        let used = definition.counts.iter().map(|&n| usize::from(n)).sum::<usize>();
        if used > 256 || (class == Class::Dc && definition.symbols[..used].iter().any(|&s| s > 15)) {
            return Err(bad());
        }
        self.lookup.fill(0);
        let (mut code, mut index) = (0_i32, 0_usize);
        for length in 1..=16_u32 {
            let count = usize::from(definition.counts[length as usize]);
            self.offset[length as usize] = index as i32 - code;
            for _ in 0..count {
                if length <= LOOK {
                    self.enter(code as u32, length, definition.symbols[index]);
                }
                code += 1;
                index += 1;
            }
            self.largest[length as usize] = if count == 0 { -1 } else { code - 1 };
            // No code may consist only of ones, so the next code must still fit. Lengths after the
            // last used length cannot fail.
            if code >= 1 << length && index > 0 {
                return Err(bad());
            }
            code <<= 1;
        }
        self.largest[17] = i32::MAX;
        self.definition = Some((class, definition.clone()));
        Ok(())
    }

    /// Fills the entries whose bits start with `code`.
    fn enter(&mut self, code: u32, length: u32, symbol: u8) {
        let rest = LOOK - length;
        let first = (code as usize) << rest;
        let size = u32::from(symbol & 15);
        let Some(entries) = self.lookup.get_mut(first..first + (1 << rest)) else {
            return; // more codes than the length has; refused by the caller
        };
        for (following, entry) in (0_u32..).zip(entries) {
            *entry = u32::from(symbol) << 8 | length;
            if size > 0 && size <= rest {
                let value = extend(following >> (rest - size), size);
                *entry = (value as u32) << 16 | u32::from(symbol >> 4) << 8 | (length + size);
            }
        }
    }

    /// The first code of more than [`LOOK`] bits in `ahead`, whose top bits come next: its symbol
    /// and its length. If the bits are no code, they give symbol 0 and take 17 bits, as in libjpeg.
    #[cold]
    #[inline(never)]
    pub fn search(&self, ahead: u64) -> (u8, u32) {
        let mut length = LOOK + 1;
        while self.precedes((ahead >> (64 - length)) as u32, length) {
            length += 1;
        }
        (self.symbol_of((ahead >> (64 - length)) as u32, length), length)
    }

    /// Whether the `length` bits of `code` are no code of that length, but may begin a longer one.
    pub fn precedes(&self, code: u32, length: u32) -> bool {
        code as i32 > self.largest[length as usize]
    }

    /// The symbol of a code of `length` bits. 0 after the longest length.
    pub fn symbol_of(&self, code: u32, length: u32) -> u8 {
        if length > 16 {
            return 0;
        }
        let index = code as i32 + self.offset[length as usize];
        self.definition.as_ref().map_or(0, |(_, definition)| definition.symbols[index as usize & 0xff])
    }

    /// The index into `lookup` for bits `ahead`.
    #[inline(always)]
    pub fn index(ahead: u64) -> usize {
        (ahead >> (64 - LOOK)) as usize
    }

    /// The symbol and the length of the code, for an entry of `lookup` without a value. `None` if
    /// the code is longer than [`LOOK`] bits.
    #[inline(always)]
    pub fn symbol(entry: u32) -> Option<(u8, u32)> {
        (entry != 0).then_some(((entry >> 8) as u8, entry & 0xff))
    }

    /// The symbol and the length of the code, for any entry of `lookup`. `None` if the code is
    /// longer than 8 bits.
    pub fn short_symbol(entry: u32) -> Option<(u8, u32)> {
        let value = (entry as i32) >> 16;
        let (symbol, length) = if value == 0 {
            ((entry >> 8) as u8, entry & 0xff)
        } else {
            let size = Self::size_of(value);
            (((entry >> 4) as u8 & 0xf0) | size as u8, (entry & 0xff) - size)
        };
        (1..=8).contains(&length).then_some((symbol, length))
    }

    /// The number of bits of a value (T.81 F.1.2.1).
    #[inline(always)]
    pub fn size_of(value: i32) -> u32 {
        32 - value.unsigned_abs().leading_zeros()
    }
}

/// The value that `size` bits stand for (T.81 F.2.2.1, EXTEND).
#[inline(always)]
pub(super) fn extend(bits: u32, size: u32) -> i32 {
    let bits = bits as i32;
    if bits < 1 << (size - 1) { bits + (-1 << size) + 1 } else { bits }
}

/// The typical tables of T.81 K.3, by number: 0 for luminance, 1 for chrominance.
pub(super) fn typical(class: Class, number: usize) -> Option<Definition> {
    let (counts, symbols): (&[u8; 16], &[u8]) = match (class, number) {
        (Class::Dc, 0) => (&[0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], &DC_SYMBOLS),
        (Class::Dc, 1) => (&[0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], &DC_SYMBOLS),
        (Class::Ac, 0) => (&[0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d], &AC_LUMINANCE),
        (Class::Ac, 1) => (&[0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77], &AC_CHROMINANCE),
        _ => return None,
    };
    let mut definition = Definition { counts: [0; 17], symbols: [0; 256] };
    definition.counts[1..].copy_from_slice(counts);
    definition.symbols[..symbols.len()].copy_from_slice(symbols);
    Some(definition)
}

const DC_SYMBOLS: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

const AC_LUMINANCE: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71, 0x14,
    0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09,
    0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a,
    0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65,
    0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88,
    0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9,
    0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca,
    0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea,
    0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];

const AC_CHROMINANCE: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22, 0x32,
    0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16,
    0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38, 0x39,
    0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64,
    0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86,
    0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
    0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8,
    0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9,
    0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];

#[cfg(test)]
mod tests {
    use super::super::bits::Stream;
    use super::*;

    fn table(class: Class, definition: &Definition) -> Result<Table, Error> {
        let mut table = Table::default();
        table.build(class, definition).map(|()| table)
    }

    fn definition(counts: &[(usize, u8)], symbols: &[u8]) -> Definition {
        let mut definition = Definition { counts: [0; 17], symbols: [0; 256] };
        for &(length, count) in counts {
            definition.counts[length] = count;
        }
        definition.symbols[..symbols.len()].copy_from_slice(symbols);
        definition
    }

    #[test]
    fn typical_codes_are_those_of_annex_k() {
        struct Case {
            class: Class,
            number: usize,
            code: &'static str,
            symbol: u8,
        }
        // From tables K.3 to K.6.
        let cases = [
            Case { class: Class::Dc, number: 0, code: "00", symbol: 0 },
            Case { class: Class::Dc, number: 0, code: "110", symbol: 5 },
            Case { class: Class::Dc, number: 0, code: "111111110", symbol: 11 },
            Case { class: Class::Dc, number: 1, code: "11111111110", symbol: 11 },
            Case { class: Class::Ac, number: 0, code: "1010", symbol: 0x00 },
            Case { class: Class::Ac, number: 0, code: "00", symbol: 0x01 },
            Case { class: Class::Ac, number: 0, code: "11111111001", symbol: 0xf0 },
            Case { class: Class::Ac, number: 0, code: "1111111111111110", symbol: 0xfa },
            Case { class: Class::Ac, number: 1, code: "00", symbol: 0x00 },
            Case { class: Class::Ac, number: 1, code: "1111111010", symbol: 0xf0 },
            Case { class: Class::Ac, number: 1, code: "111111111000010", symbol: 0x25 },
        ];
        for Case { class, number, code, symbol } in cases {
            let table = table(class, &typical(class, number).unwrap()).unwrap();
            // Zeros follow the code. A byte 0xff is stuffed.
            let bits = format!("{code:0<16}");
            let mut bytes = Vec::new();
            for byte in bits.as_bytes().chunks(8) {
                let byte = u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap();
                bytes.push(byte);
                if byte == 0xff {
                    bytes.push(0);
                }
            }
            bytes.extend([0; 8]);
            let mut stream = Stream::new(&bytes);
            assert_eq!(stream.symbol(&table), Ok(symbol), "{code}");
            assert_eq!(stream.bits.left as usize, 64 - code.len(), "{code}");
            let ahead = u64::from_str_radix(&bits, 2).unwrap() << 48;
            let entry = table.lookup[Table::index(ahead)];
            if code.len() > LOOK as usize {
                assert_eq!((entry, table.search(ahead)), (0, (symbol, code.len() as u32)), "{code}");
            }
        }
    }

    #[test]
    fn entries_hold_a_value_where_it_fits() {
        // 0: size 2 after a run of 3; 10: the end of a block; 110: size 9.
        let table = table(Class::Ac, &definition(&[(1, 1), (2, 1), (3, 1)], &[0x32, 0x00, 0x09])).unwrap();
        let entry = |bits: &str| {
            let padded = format!("{:0<10}", bits.replace(' ', ""));
            table.lookup[usize::from_str_radix(&padded, 2).unwrap()]
        };
        assert_eq!(entry("0 11"), 3 << 16 | 3 << 8 | 3);
        assert_eq!(entry("0 01") as i32 >> 16, -2);
        assert_eq!(entry("10"), 2);
        assert_eq!(entry("110"), 9 << 8 | 3);
        assert_eq!(Table::short_symbol(entry("0 01")), Some((0x32, 1)));
        assert_eq!(Table::short_symbol(entry("111")), None);
    }

    #[test]
    fn bits_that_are_no_code_take_seventeen_and_mean_nothing() {
        let table = table(Class::Ac, &definition(&[(1, 1)], &[0x11])).unwrap();
        assert_eq!(table.search(u64::MAX), (0, 17));
        let mut stream = Stream::new(&[0xfe; 8]);
        assert_eq!((stream.symbol(&table), stream.bits.left), (Ok(0), 64 - 17));
    }

    #[test]
    fn impossible_tables_are_refused() {
        let all_ones = definition(&[(1, 2)], &[0, 1]);
        let too_many = definition(&[(2, 5)], &[0, 1, 2, 3, 4]);
        let large = definition(&[(2, 1)], &[16]);
        assert!(table(Class::Ac, &all_ones).is_err());
        assert!(table(Class::Ac, &too_many).is_err());
        assert!(table(Class::Dc, &large).is_err());
        assert!(table(Class::Ac, &large).is_ok());
        let mut used = table(Class::Ac, &large).unwrap();
        assert!(used.build(Class::Ac, &all_ones).is_err());
        assert!(used.build(Class::Ac, &large).is_ok());
        assert_eq!(used.lookup[0], 16 << 8 | 2);
    }

    #[test]
    fn values_are_extended_by_their_sign() {
        assert_eq!([0, 1].map(|bits| extend(bits, 1)), [-1, 1]);
        assert_eq!([0, 3, 4, 7].map(|bits| extend(bits, 3)), [-7, -4, 4, 7]);
        assert_eq!([0, 0x7fff].map(|bits| extend(bits, 15)), [-32_767, 32_767]);
    }
}

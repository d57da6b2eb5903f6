//! Huffman tables for writing (T.81 C).

/// A table: the number of codes of each length from 1, and their symbols in the codes' order.
#[derive(Clone, Debug)]
pub struct Codes {
    pub counts: [u8; 16],
    pub symbols: Vec<u8>,
}

impl Codes {
    /// The code of a symbol, and the code's length.
    ///
    /// # Panics
    /// If the table has no code for the symbol.
    pub fn of(&self, symbol: u8) -> (u32, u32) {
        let (mut code, mut index) = (0, 0);
        for (length, &count) in (1..).zip(&self.counts) {
            for _ in 0..count {
                if self.symbols[index] == symbol {
                    return (code, length);
                }
                (code, index) = (code + 1, index + 1);
            }
            code <<= 1;
        }
        panic!("symbol {symbol:#x} has no code");
    }

    /// The content of a DHT segment: `class` 0 for DC, 1 for AC coefficients.
    pub fn definition(&self, class: u8, number: u8) -> Vec<u8> {
        [&[class << 4 | number], self.counts.as_slice(), &self.symbols].concat()
    }

    /// Codes of 8 or 9 bits for every symbol.
    pub fn every() -> Self {
        let mut counts = [0; 16];
        (counts[7], counts[8]) = (254, 2);
        Self { counts, symbols: (0..=255).collect() }
    }

    /// Codes of 1 to 16 bits for the sizes 0 to 15 of DC differences.
    pub fn sizes() -> Self {
        Self { counts: [1; 16], symbols: (0..16).collect() }
    }

    /// The table of T.81 K.3 for DC coefficients of luminance or of chrominance.
    pub fn typical_dc(is_chroma: bool) -> Self {
        let counts = match is_chroma {
            false => [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
            true => [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
        };
        Self { counts, symbols: (0..12).collect() }
    }

    /// The table of T.81 K.3 for AC coefficients of luminance.
    pub fn typical_ac() -> Self {
        let counts = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d];
        // The other symbols follow in order: all sizes that are not among the frequent ones.
        let mut symbols = FREQUENT.to_vec();
        let rest = (0..16).flat_map(|run| (1..=10).map(move |size| run << 4 | size));
        symbols.extend(rest.filter(|symbol| !FREQUENT.contains(symbol)));
        Self { counts, symbols }
    }
}

/// The symbols whose codes are shorter than 16 bits, and the first with 16 bits.
const FREQUENT: [u8; 52] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71, 0x14,
    0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09,
    0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_annex_k() {
        let typical = Codes::typical_ac();
        assert_eq!(typical.symbols.len(), 162);
        assert_eq!(typical.counts.iter().map(|&n| usize::from(n)).sum::<usize>(), 162);
        assert_eq!(typical.of(0x00), (0b1010, 4));
        assert_eq!(typical.of(0xf0), (0b111_1111_1001, 11));
        assert_eq!(typical.of(0xfa), (0xfffe, 16));
        assert_eq!(Codes::typical_dc(false).of(11), (0b1_1111_1110, 9));
        assert_eq!(Codes::typical_dc(true).of(11), (0b111_1111_1110, 11));
    }

    #[test]
    fn no_code_starts_another_or_is_of_ones_alone() {
        for codes in [Codes::every(), Codes::sizes(), Codes::typical_ac()] {
            let all: Vec<(u32, u32)> = codes.symbols.iter().map(|&symbol| codes.of(symbol)).collect();
            for (n, &(code, length)) in all.iter().enumerate() {
                assert!(code + 1 < 1 << length);
                assert!(all[..n].iter().all(|&(earlier, shorter)| code >> (length - shorter) != earlier));
            }
        }
    }
}

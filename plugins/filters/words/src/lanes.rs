//! Goes through text 16 bytes at once: finds quotes, and classifies bytes.

#[cfg(not(target_arch = "wasm32"))]
use scalar::{lanes, map, quotes, specials};
#[cfg(target_arch = "wasm32")]
use simd::{lanes, map, quotes, specials};

/// Where the first quote is, at or behind a place; the text's end if there is none.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
pub fn quote(text: &[u8], mut at: usize) -> usize {
    let Some(last) = text.len().checked_sub(LANES) else {
        let rest = text.get(at..).unwrap_or(&[]);
        return rest.iter().position(|&b| b == b'"').map_or(text.len(), |i| at + i);
    };
    while at < text.len() {
        // The last lanes overlap with those before, so that no bytes are left over.
        let from = at.min(last);
        let bits = quotes(lanes(text, from)) >> (at - from);
        if bits != 0 {
            return at + bits.trailing_zeros() as usize;
        }
        at = from + LANES;
    }
    text.len()
}

/// Whether a byte is no printable ASCII character, or means something in a string.
pub fn is_special(byte: u8) -> bool {
    !(0x20..0x80).contains(&byte) || byte == b'"' || byte == b'\\'
}

/// The most bytes that are classified at once.
pub const PIECE: usize = 1024;

const LANES: usize = 16;

/// Twice the class of each byte, what it takes from the beginning of a row to its
/// entry of two bytes.
pub struct Classifier {
    of: [u8; 128],
    /// Of a piece, with room for lanes that begin before it or end behind it.
    buffer: [u8; LANES + PIECE + LANES],
}

impl Classifier {
    /// Takes the class of each byte. Those of printable ASCII have to be below 128.
    pub fn new(classes: &[u8; 256]) -> Classifier {
        let mut of = [0; 128];
        for (of, class) in of.iter_mut().zip(classes).skip(0x20) {
            *of = class << 1;
        }
        Classifier { of, buffer: [0; LANES + PIECE + LANES] }
    }

    /// Classifies the bytes at and behind a place, which has to be in the text, as
    /// far as they are not special, and at most a piece.
    pub fn classify(&mut self, text: &[u8], at: usize) -> &[u8] {
        let n = if text.len() < LANES { self.few(text, at) } else { self.many(text, at) };
        &self.buffer[LANES..LANES + n]
    }

    fn few(&mut self, text: &[u8], at: usize) -> usize {
        let rest = text[at..].iter().take_while(|b| !is_special(**b));
        rest.zip(&mut self.buffer[LANES..]).map(|(&byte, class)| *class = self.of[byte as usize]).count()
    }

    #[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
    fn many(&mut self, text: &[u8], at: usize) -> usize {
        let last = text.len() - LANES;
        let end = text.len().min(at + PIECE);
        let mut to = at;
        while to < end {
            let from = to.min(last);
            let v = lanes(text, from);
            let into = &mut self.buffer[LANES + from - at..][..LANES];
            let bits = specials(v) >> (to - from);
            map(v, &self.of, into);
            if bits != 0 {
                to += bits.trailing_zeros() as usize;
                break;
            }
            to = from + LANES;
        }
        to.min(end) - at
    }
}

/// The node runs every module with SIMD.
#[cfg(target_arch = "wasm32")]
mod simd {
    use super::LANES;
    use core::arch::wasm32::*;

    /// The bytes from a place on.
    #[inline]
    #[target_feature(enable = "simd128")]
    pub fn lanes(text: &[u8], from: usize) -> v128 {
        let bytes = &text[from..from + LANES];
        unsafe { v128_load(bytes.as_ptr().cast()) }
    }

    /// A bit for each quote.
    #[inline]
    #[target_feature(enable = "simd128")]
    pub fn quotes(v: v128) -> u32 {
        u8x16_bitmask(u8x16_eq(v, u8x16_splat(b'"'))).into()
    }

    /// A bit for each byte that is special. Bytes above ASCII are negative.
    #[inline]
    #[target_feature(enable = "simd128")]
    pub fn specials(v: v128) -> u32 {
        let in_strings = v128_or(u8x16_eq(v, u8x16_splat(b'"')), u8x16_eq(v, u8x16_splat(b'\\')));
        u8x16_bitmask(v128_or(in_strings, i8x16_lt(v, i8x16_splat(0x20)))).into()
    }

    /// Looks up bytes that are printable ASCII; for others it yields 0.
    #[inline]
    #[target_feature(enable = "simd128")]
    pub fn map(v: v128, of: &[u8; 128], into: &mut [u8]) {
        let row = |high: usize| {
            let row = unsafe { v128_load(of[16 * high..][..16].as_ptr().cast()) };
            u8x16_swizzle(row, u8x16_sub(v, u8x16_splat(16 * high as u8))) // 0 outside of the row
        };
        let low = v128_or(v128_or(row(2), row(3)), row(4));
        let high = v128_or(v128_or(row(5), row(6)), row(7));
        unsafe { v128_store(into[..LANES].as_mut_ptr().cast(), v128_or(low, high)) }
    }
}

/// The same without SIMD, for tests that run natively.
#[cfg(not(target_arch = "wasm32"))]
mod scalar {
    use super::{is_special, LANES};

    pub fn lanes(text: &[u8], from: usize) -> [u8; LANES] {
        text[from..from + LANES].try_into().unwrap()
    }

    fn bits(v: [u8; LANES], is: impl Fn(u8) -> bool) -> u32 {
        v.iter().rev().fold(0, |bits, &byte| bits << 1 | u32::from(is(byte)))
    }

    pub fn quotes(v: [u8; LANES]) -> u32 {
        bits(v, |byte| byte == b'"')
    }

    pub fn specials(v: [u8; LANES]) -> u32 {
        bits(v, is_special)
    }

    pub fn map(v: [u8; LANES], of: &[u8; 128], into: &mut [u8]) {
        for (class, byte) in into.iter_mut().zip(v) {
            *class = of.get(usize::from(byte)).copied().unwrap_or(0);
        }
    }
}

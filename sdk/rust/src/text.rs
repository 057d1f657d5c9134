//! Text that is composed without allocating.

use core::fmt;

/// Up to `N` bytes of UTF-8. What does not fit is left out, from the end of the
/// last character that does.
///
/// ```
/// let mut t = sluice::Text::<16>::new();
/// t.push("n = ").push_int(-7);
/// assert_eq!(t.as_str(), "n = -7");
/// ```
#[derive(Clone)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
    full: bool,
}

impl<const N: usize> Text<N> {
    /// An empty text.
    pub const fn new() -> Text<N> {
        Text { bytes: [0; N], len: 0, full: false }
    }

    /// Empties it.
    pub fn clear(&mut self) -> &mut Text<N> {
        self.len = 0;
        self.full = false;
        self
    }

    /// Adds a text.
    #[inline(never)]
    pub fn push(&mut self, text: &str) -> &mut Text<N> {
        if self.full {
            return self;
        }
        let mut n = text.len();
        if n > N - self.len {
            self.full = true;
            n = N - self.len;
            while !text.is_char_boundary(n) {
                n -= 1;
            }
        }
        // Cannot fail: n is at most what is left, and at most the text's length.
        if let (Some(to), Some(from)) = (self.bytes.get_mut(self.len..self.len + n), text.as_bytes().get(..n)) {
            to.copy_from_slice(from);
            self.len += n;
        }
        self
    }

    /// Adds bytes, if they are UTF-8; else nothing, and the text counts as cut.
    #[inline(never)]
    pub fn push_bytes(&mut self, bytes: &[u8]) -> &mut Text<N> {
        match core::str::from_utf8(bytes) {
            Ok(text) => self.push(text),
            Err(_) => {
                self.full = true;
                self
            }
        }
    }

    /// Adds a number in decimal.
    #[inline(never)]
    pub fn push_int(&mut self, n: i64) -> &mut Text<N> {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = n.unsigned_abs();
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if n < 0 {
            at -= 1;
            digits[at] = b'-';
        }
        self.push(core::str::from_utf8(&digits[at..]).unwrap_or(""))
    }

    /// Adds a JSON string with that text in it.
    pub fn push_quoted(&mut self, text: &str) -> &mut Text<N> {
        self.push("\"");
        let mut plain = 0;
        for (i, b) in text.bytes().enumerate() {
            if b >= 0x20 && b != b'"' && b != b'\\' {
                continue;
            }
            self.push(text.get(plain..i).unwrap_or(""));
            plain = i + 1;
            if b >= 0x20 {
                self.push(if b == b'"' { "\\\"" } else { "\\\\" });
            } else {
                let hex = |n: u8| if n < 10 { b'0' + n } else { b'a' + n - 10 };
                self.push_bytes(&[b'\\', b'u', b'0', b'0', hex(b >> 4), hex(b & 15)]);
            }
        }
        self.push(text.get(plain..).unwrap_or("")).push("\"")
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // Only whole characters were put in.
        unsafe { core::str::from_utf8_unchecked(self.as_bytes()) }
    }

    /// The text's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len.min(N)]
    }

    /// Whether something was left out. JSON that was cut is none any more.
    pub fn is_cut(&self) -> bool {
        self.full
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Text<N> {
        Text::new()
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// `write!` works too, and brings the formatting code with it: about 10 KB.
impl<const N: usize> fmt::Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

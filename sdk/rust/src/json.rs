//! A strict reader for configurations, which walks forward once and allocates
//! nothing.
//!
//! ```
//! use sluice::{Json, Name};
//!
//! let mut max = 0u32;
//! let mut name = Name::<8>::new();
//! Json::new(br#" {"max": 7, "name": "b\u0061ck"} "#).document(|json| {
//!     json.object(|key, json| {
//!         if key == "max" {
//!             max = json.read()?;
//!         } else if key == "name" {
//!             name = json.read()?;
//!         } else {
//!             return Err(json.fault("an unknown key"));
//!         }
//!         Ok(())
//!     })
//! }).unwrap();
//! assert_eq!((max, name.as_str()), (7, "back"));
//! ```

/// What is wrong, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Bytes from the start of the document.
    pub at: usize,
    /// For people.
    pub what: &'static str,
}

/// A place in a JSON document.
#[derive(Clone)]
pub struct Json<'a> {
    text: &'a [u8],
    at: usize,
}

/// A value that can be read from JSON.
pub trait FromJson<'a>: Sized {
    /// Reads it, and goes behind it.
    fn from_json(json: &mut Json<'a>) -> Result<Self, Fault>;
}

/// How deep [`Json::skip`] follows arrays and objects.
const DEEPEST: u32 = 64;

impl<'a> Json<'a> {
    /// The start of a document.
    pub fn new(text: &'a [u8]) -> Json<'a> {
        Json { text, at: 0 }
    }

    /// A fault at this place.
    pub fn fault(&self, what: &'static str) -> Fault {
        Fault { at: self.at, what }
    }

    /// Reads the document with a function, and makes sure that nothing follows.
    pub fn document<T, E: From<Fault>>(mut self, read: impl FnOnce(&mut Json<'a>) -> Result<T, E>) -> Result<T, E> {
        let value = read(&mut self)?;
        match self.peek() {
            None => Ok(value),
            Some(_) => Err(self.fault("something follows the value").into()),
        }
    }

    /// Reads any value that knows how.
    pub fn read<T: FromJson<'a>>(&mut self) -> Result<T, Fault> {
        T::from_json(self)
    }

    /// The first byte of the next value, or of what stands in its place.
    #[inline(never)]
    pub fn peek(&mut self) -> Option<u8> {
        while let Some(&b) = self.text.get(self.at) {
            if !matches!(b, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(b);
            }
            self.at += 1;
        }
        None
    }

    fn eat(&mut self, b: u8) -> bool {
        let met = self.peek() == Some(b);
        self.at += met as usize;
        met
    }

    #[inline(never)]
    fn expect(&mut self, b: u8, what: &'static str) -> Result<(), Fault> {
        if self.eat(b) {
            Ok(())
        } else {
            Err(self.fault(what))
        }
    }

    /// Reads an object, giving each member's key and the place of its value to a
    /// function, which has to read the value.
    pub fn object<E: From<Fault>>(&mut self, mut member: impl FnMut(Str<'a>, &mut Json<'a>) -> Result<(), E>) -> Result<(), E> {
        self.expect(b'{', "an object is expected")?;
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            let key = self.string()?;
            self.expect(b':', "a colon is expected")?;
            member(key, self)?;
            if self.eat(b'}') {
                return Ok(());
            }
            self.expect(b',', "a comma or the object's end is expected")?;
        }
    }

    /// Reads an array, giving the place of each element to a function, which has to
    /// read it.
    pub fn array<E: From<Fault>>(&mut self, mut element: impl FnMut(&mut Json<'a>) -> Result<(), E>) -> Result<(), E> {
        self.expect(b'[', "an array is expected")?;
        if self.eat(b']') {
            return Ok(());
        }
        loop {
            element(self)?;
            if self.eat(b']') {
                return Ok(());
            }
            self.expect(b',', "a comma or the array's end is expected")?;
        }
    }

    /// Reads a string. Its escapes are checked, and decoded as it is used.
    #[inline(never)]
    pub fn string(&mut self) -> Result<Str<'a>, Fault> {
        self.expect(b'"', "a string is expected")?;
        let start = self.at;
        loop {
            match self.text.get(self.at) {
                None => return Err(self.fault("the string has no end")),
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(0..=0x1f) => return Err(self.fault("a control character stands in a string")),
                Some(_) => self.at += 1,
            }
        }
        let raw = &self.text[start..self.at];
        self.at += 1;
        if core::str::from_utf8(raw).is_err() {
            return Err(Fault { at: start, what: "the string is not UTF-8" });
        }
        Ok(Str { raw })
    }

    fn escape(&mut self) -> Result<(), Fault> {
        let rest = self.text.get(self.at + 1..).unwrap_or(&[]);
        match rest.first() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => match unit(rest.get(1..).unwrap_or(&[])) {
                Some(0xD800..=0xDBFF) => {
                    let low = rest.get(5..7).filter(|b| *b == b"\\u").and_then(|_| unit(rest.get(7..)?));
                    if !matches!(low, Some(0xDC00..=0xDFFF)) {
                        return Err(self.fault("half a surrogate pair"));
                    }
                    self.at += 12;
                }
                Some(0xDC00..=0xDFFF) => return Err(self.fault("half a surrogate pair")),
                Some(_) => self.at += 6,
                None => return Err(self.fault("an unknown escape")),
            },
            _ => return Err(self.fault("an unknown escape")),
        }
        Ok(())
    }

    /// Reads a whole number without fraction and exponent.
    #[inline(never)]
    pub fn int(&mut self) -> Result<i64, Fault> {
        let negative = self.eat(b'-');
        let start = self.at;
        let mut n: i64 = 0;
        while let Some(digit @ b'0'..=b'9') = self.text.get(self.at) {
            let digit = i64::from(digit - b'0');
            let next = n.checked_mul(10).and_then(|n| if negative { n.checked_sub(digit) } else { n.checked_add(digit) });
            n = next.ok_or(self.fault("the number is too large"))?;
            self.at += 1;
        }
        let digits = &self.text[start..self.at];
        if digits.is_empty() || (digits.len() > 1 && digits[0] == b'0') {
            return Err(self.fault("a whole number is expected"));
        }
        match self.text.get(self.at) {
            Some(b'.' | b'e' | b'E') => Err(self.fault("a whole number is expected")),
            _ => Ok(n),
        }
    }

    fn word(&mut self, word: &[u8]) -> bool {
        self.peek();
        let met = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        if met {
            self.at += word.len();
        }
        met
    }

    /// Whether the next value is `null`, and if so goes behind it.
    pub fn null(&mut self) -> bool {
        self.word(b"null")
    }

    /// Reads `true` or `false`.
    pub fn bool(&mut self) -> Result<bool, Fault> {
        if self.word(b"true") {
            return Ok(true);
        }
        if self.word(b"false") {
            return Ok(false);
        }
        Err(self.fault("true or false is expected"))
    }

    /// Goes behind the next value, whatever it is, and returns its text.
    pub fn skip(&mut self) -> Result<&'a [u8], Fault> {
        self.peek();
        let start = self.at;
        self.skip_value(0)?;
        Ok(&self.text[start..self.at])
    }

    fn skip_value(&mut self, depth: u32) -> Result<(), Fault> {
        if depth == DEEPEST {
            return Err(self.fault("nested too deep"));
        }
        match self.peek() {
            Some(b'{') => self.object(|_, json| json.skip_value(depth + 1)),
            Some(b'[') => self.array(|json| json.skip_value(depth + 1)),
            Some(b'"') => self.string().map(|_| ()),
            Some(b't' | b'f') => self.bool().map(|_| ()),
            Some(b'n') if self.null() => Ok(()),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.fault("a value is expected")),
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.text.get(self.at), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<(), Fault> {
        self.at += (self.text.get(self.at) == Some(&b'-')) as usize;
        let zero = self.text.get(self.at) == Some(&b'0');
        let whole = self.digits();
        let mut ok = whole == 1 || (whole > 1 && !zero);
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            ok &= self.digits() > 0;
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += matches!(self.text.get(self.at), Some(b'+' | b'-')) as usize;
            ok &= self.digits() > 0;
        }
        if ok {
            Ok(())
        } else {
            Err(self.fault("the number is malformed"))
        }
    }
}

/// Four hexadecimal digits.
fn unit(digits: &[u8]) -> Option<u32> {
    let mut n = 0;
    for &b in digits.get(..4)? {
        n = n << 4 | (b as char).to_digit(16)?;
    }
    Some(n)
}

/// A string of a JSON document, escapes included: `==` and [`Str::chars`] decode.
#[derive(Clone, Copy, Debug)]
pub struct Str<'a> {
    raw: &'a [u8],
}

impl<'a> Str<'a> {
    /// The characters, decoded.
    pub fn chars(self) -> impl Iterator<Item = char> + 'a {
        Chars { raw: self.raw }
    }

    /// Its text, where it has no escapes.
    pub fn plain(self) -> Option<&'a str> {
        if self.raw.contains(&b'\\') {
            return None;
        }
        core::str::from_utf8(self.raw).ok()
    }

    /// Its bytes as they stand between the quotes.
    pub fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// Decodes it into a buffer; `None` if it does not fit.
    #[inline(never)]
    pub fn decode(self, to: &mut [u8]) -> Option<&mut str> {
        let mut n = 0;
        for c in self.chars() {
            let space = to.get_mut(n..n + c.len_utf8())?;
            n += c.encode_utf8(space).len();
        }
        core::str::from_utf8_mut(to.get_mut(..n)?).ok()
    }
}

impl PartialEq<str> for Str<'_> {
    fn eq(&self, other: &str) -> bool {
        self.chars().eq(other.chars())
    }
}

impl PartialEq<&str> for Str<'_> {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

struct Chars<'a> {
    raw: &'a [u8],
}

impl Iterator for Chars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let first = *self.raw.first()?;
        if first != b'\\' {
            // The reader has checked that it is UTF-8.
            let n = match first {
                0..=0x7f => 1,
                0x80..=0xdf => 2,
                0xe0..=0xef => 3,
                _ => 4,
            };
            let c = core::str::from_utf8(self.raw.get(..n)?).ok()?.chars().next();
            self.raw = self.raw.get(n..)?;
            return c;
        }
        let (c, n) = match *self.raw.get(1)? {
            b'b' => ('\u{8}', 2),
            b'f' => ('\u{c}', 2),
            b'n' => ('\n', 2),
            b'r' => ('\r', 2),
            b't' => ('\t', 2),
            b'u' => match unit(self.raw.get(2..)?)? {
                high @ 0xD800..=0xDBFF => {
                    let low = unit(self.raw.get(8..)?)?;
                    (char::from_u32(0x10000 + ((high - 0xD800) << 10) + low.wrapping_sub(0xDC00))?, 12)
                }
                c => (char::from_u32(c)?, 6),
            },
            c => (c as char, 2),
        };
        self.raw = self.raw.get(n..)?;
        Some(c)
    }
}

/// A string of up to `N` bytes that is kept.
#[derive(Clone, Copy)]
pub struct Name<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Name<N> {
    /// The empty string.
    pub const fn new() -> Name<N> {
        Name { bytes: [0; N], len: 0 }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or("")
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<const N: usize> Default for Name<N> {
    fn default() -> Name<N> {
        Name::new()
    }
}

impl<'a, const N: usize> FromJson<'a> for Name<N> {
    fn from_json(json: &mut Json<'a>) -> Result<Self, Fault> {
        let mut name = Name::new();
        let text = json.string()?;
        match text.decode(&mut name.bytes) {
            Some(decoded) => name.len = decoded.len(),
            None => return Err(json.fault("the string is too long")),
        }
        Ok(name)
    }
}

impl<'a> FromJson<'a> for Str<'a> {
    fn from_json(json: &mut Json<'a>) -> Result<Self, Fault> {
        json.string()
    }
}

impl<'a> FromJson<'a> for bool {
    fn from_json(json: &mut Json<'a>) -> Result<Self, Fault> {
        json.bool()
    }
}

impl<'a> FromJson<'a> for i64 {
    fn from_json(json: &mut Json<'a>) -> Result<Self, Fault> {
        json.int()
    }
}

macro_rules! whole_numbers {
    ($($t:ty),+) => {$(
        impl<'a> FromJson<'a> for $t {
            fn from_json(json: &mut Json<'a>) -> Result<Self, Fault> {
                let n = json.int()?;
                <$t>::try_from(n).map_err(|_| json.fault("the number is out of range"))
            }
        }
    )+};
}
whole_numbers!(u8, u16, u32, u64, usize, i32);

//! Looks for words in the string values of a JSON document, decoded.

use alloc::vec::Vec;

use crate::automaton::{Automaton, START};
use crate::fold::{fold, in_word};
use crate::lanes::{is_special, quote, Classifier, PIECE};

/// What is looked for, and how.
pub struct Search {
    pub automaton: Automaton,
    pub classifier: Classifier,
    pub fold: bool,
    pub whole: bool,
    /// A string of a document, decoded and folded; kept for its memory.
    pub folded: Vec<u8>,
    /// Where words are in it, from and to; they neither touch nor overlap.
    pub found: Vec<(u32, u32)>,
}

/// A character of a string as it is in the document: bytes `from..to`.
struct Char {
    value: char,
    to: usize,
}

/// What follows characters that were gone through one by one, and where.
enum Next {
    /// A word may have ended.
    Hit(usize),
    /// The string has ended.
    End(usize),
    /// The automaton is in a state, and bytes follow that it can go through alone.
    Bytes(u32, usize),
}

impl Search {
    /// Whether a document has a word in one of its string values.
    pub fn any(&mut self, text: &[u8]) -> bool {
        let mut at = 0;
        while let Some(start) = opening(text, at) {
            let (hit, end) = self.scan(text, start);
            at = if hit { close(text, end) } else { end } + 1;
            if hit && !is_key(text, at) && (!self.whole || self.locate(text, start)) {
                return true;
            }
        }
        false
    }

    /// Writes a document with the words in its string values masked; `false` if it
    /// has none.
    pub fn mask(&mut self, text: &[u8], mask: &[u8], out: &mut Vec<u8>) -> bool {
        out.clear();
        let (mut at, mut copied) = (0, 0);
        while let Some(start) = opening(text, at) {
            let (hit, end) = self.scan(text, start);
            at = if hit { close(text, end) } else { end } + 1;
            if !hit || is_key(text, at) || !self.locate(text, start) {
                continue;
            }
            copied = self.cover(text, start, copied, mask, out);
        }
        if copied > 0 {
            out.extend_from_slice(text.get(copied..).unwrap_or(&[]));
        }
        copied > 0
    }

    /// Goes through a string that starts behind its quote until a word may have
    /// ended (`true`), or up to its closing quote.
    fn scan(&mut self, text: &[u8], start: usize) -> (bool, usize) {
        let (mut state, mut at) = (START, start);
        loop {
            let classes = self.classifier.classify(text, at);
            at += classes.len();
            match self.automaton.pass(state, classes) {
                Some(next) => state = next,
                None => return (true, at),
            }
            if classes.len() == PIECE {
                continue;
            }
            (state, at) = match self.characters(state, text, at) {
                Next::Hit(at) => return (true, at),
                Next::End(at) => return (false, at),
                Next::Bytes(state, at) => (state, at),
            };
        }
    }

    /// Goes through characters one by one, while there are some among them that have
    /// to be decoded or folded.
    fn characters(&self, mut state: u32, text: &[u8], mut at: usize) -> Next {
        let mut usual = 0; // bytes that need neither, since one that does
        while let Some(&byte) = text.get(at) {
            if byte == b'"' {
                break;
            }
            if byte == b'\\' || self.fold && byte >= 0x80 {
                usual = 0;
                let c = next_char(text, at);
                at = c.to;
                state = self.feed(state, c.value);
            } else if usual < 8 || is_special(byte) {
                usual += 1;
                state = self.automaton.step(state, byte);
                at += 1;
            } else {
                return Next::Bytes(state, at);
            }
            if self.automaton.hit(state) {
                return Next::Hit(at);
            }
        }
        Next::End(at)
    }

    /// The state behind a character. Words are whole characters, so none ends within
    /// one.
    #[inline]
    fn feed(&self, mut state: u32, c: char) -> u32 {
        let mut utf8 = [0; 4];
        let c = if self.fold { fold(c) } else { c };
        for &byte in c.encode_utf8(&mut utf8).as_bytes() {
            state = self.automaton.step(state, byte);
        }
        state
    }

    /// Decodes the string that starts at a place and finds all words in it.
    fn locate(&mut self, text: &[u8], start: usize) -> bool {
        self.folded.clear();
        self.found.clear();
        let mut at = start;
        while let Some(&byte) = text.get(at).filter(|byte| **byte != b'"') {
            if byte < 0x80 && byte != b'\\' {
                self.folded.push(if self.fold { byte.to_ascii_lowercase() } else { byte });
                at += 1;
                continue;
            }
            let c = next_char(text, at);
            let mut utf8 = [0; 4];
            let folded = if self.fold { fold(c.value) } else { c.value };
            self.folded.extend_from_slice(folded.encode_utf8(&mut utf8).as_bytes());
            at = c.to;
        }
        let mut state = START;
        for end in 1..=self.folded.len() {
            state = self.automaton.step(state, self.folded[end - 1]);
            if !self.automaton.hit(state) || (self.whole && !self.is_edge(end)) {
                continue;
            }
            let longest = self.automaton.ends(state).find(|length| !self.whole || self.is_edge(end - length));
            if let Some(length) = longest {
                self.add((end - length) as u32, end as u32);
            }
        }
        !self.found.is_empty()
    }

    /// Adds what ends behind everything found so far.
    fn add(&mut self, mut from: u32, to: u32) {
        while let Some(&(earlier, end)) = self.found.last() {
            if end < from {
                break;
            }
            from = from.min(earlier);
            self.found.pop();
        }
        self.found.push((from, to));
    }

    /// Whether no word goes on over a place of the decoded string.
    fn is_edge(&self, at: usize) -> bool {
        let (before, after) = self.folded.split_at(at);
        let last = before.iter().rposition(|b| b & 0xC0 != 0x80).map(|i| next_char(before, i));
        let first = (!after.is_empty()).then(|| utf8_char(after, 0));
        !(last.is_some_and(|c| in_word(c.value)) && first.is_some_and(|c| in_word(c.value)))
    }

    /// Copies a document up to what was found in the string at `start`, and masks
    /// that. Returns how far it has come.
    fn cover(&self, text: &[u8], start: usize, mut copied: usize, mask: &[u8], out: &mut Vec<u8>) -> usize {
        let (mut at, mut decoded) = (start, 0);
        for &(from, to) in &self.found {
            while decoded < to {
                let c = next_char(text, at);
                if decoded >= from {
                    out.extend_from_slice(text.get(copied..at).unwrap_or(&[]));
                    out.extend_from_slice(mask);
                    copied = c.to;
                }
                let folded = if self.fold { fold(c.value) } else { c.value };
                decoded += folded.len_utf8() as u32;
                at = c.to;
            }
        }
        copied
    }
}

/// Behind the next quote outside of strings.
fn opening(text: &[u8], at: usize) -> Option<usize> {
    let at = quote(text, at);
    (at < text.len()).then_some(at + 1)
}

/// The closing quote of a string, from a place in it that is not within an escape.
fn close(text: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => break,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

/// Whether the string that ended before this place is a key.
fn is_key(text: &[u8], at: usize) -> bool {
    let rest = text.get(at..).unwrap_or(&[]);
    rest.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b':')
}

/// The character at a place of a string in a document.
fn next_char(text: &[u8], at: usize) -> Char {
    let Some(b'\\') = text.get(at) else { return utf8_char(text, at) };
    let plain = |value| Char { value, to: at + 2 };
    match text.get(at + 1) {
        Some(b'b') => plain('\u{8}'),
        Some(b'f') => plain('\u{c}'),
        Some(b'n') => plain('\n'),
        Some(b'r') => plain('\r'),
        Some(b't') => plain('\t'),
        Some(b'u') => escaped(text, at),
        Some(&b) => plain(b as char),
        None => Char { value: '\u{FFFD}', to: text.len() },
    }
}

/// What \uXXXX stands for. A half of a surrogate pair is U+FFFD.
fn escaped(text: &[u8], at: usize) -> Char {
    let unit = |at: usize| {
        let digits = text.get(at..at + 4)?;
        digits.iter().try_fold(0, |n, &b| Some(n << 4 | (b as char).to_digit(16)?))
    };
    let first = unit(at + 2).unwrap_or(0xFFFD);
    if let (0xD800..=0xDBFF, Some(b"\\u"), Some(low @ 0xDC00..=0xDFFF)) = (first, text.get(at + 6..at + 8), unit(at + 8)) {
        let value = char::from_u32(0x10000 + ((first - 0xD800) << 10) + (low - 0xDC00));
        return Char { value: value.unwrap_or('\u{FFFD}'), to: at + 12 };
    }
    Char { value: char::from_u32(first).unwrap_or('\u{FFFD}'), to: at + 6 }
}

/// The character at a place of text, which has to begin there.
fn utf8_char(text: &[u8], at: usize) -> Char {
    let rest = text.get(at..).unwrap_or(&[]);
    let byte = |i: usize| u32::from(*rest.get(i).unwrap_or(&0) & 0x3F);
    let (value, n) = match rest.first() {
        Some(&b @ 0..=0x7F) => (b.into(), 1),
        Some(&b @ 0xC0..=0xDF) => (u32::from(b & 0x1F) << 6 | byte(1), 2),
        Some(&b @ 0xE0..=0xEF) => (u32::from(b & 0x0F) << 12 | byte(1) << 6 | byte(2), 3),
        Some(&b @ 0xF0..) => (u32::from(b & 0x07) << 18 | byte(1) << 12 | byte(2) << 6 | byte(3), 4),
        _ => (0xFFFD, 1),
    };
    Char { value: char::from_u32(value).unwrap_or('\u{FFFD}'), to: (at + n).min(text.len().max(at + 1)) }
}

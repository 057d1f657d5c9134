//! words: refuses, masks or drops messages that have one of many words in them.
//! README.md has the configuration.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;

use sluice::{Code, Configure, Event, Json, Name, Refusal, Str, Verdict, MAX_CONTENT, MAX_REASON};

mod automaton;
mod fold;
mod lanes;
mod scan;

use automaton::Automaton;
use lanes::Classifier;
use scan::Search;

sluice::export! {
    filter: Words,
    on_message: Words::on_message,
}

/// The most words, the most bytes of one, and of all together.
const MOST_WORDS: usize = 10_000;
const LONGEST: usize = 255;
const MOST_BYTES: usize = 512 << 10;

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Deny,
    Mask,
    Drop,
}

struct Words {
    search: Search,
    settings: Settings,
    masked: Vec<u8>,
}

struct Settings {
    mode: Mode,
    code: Code,
    reason: Name<MAX_REASON>,
    mask: Name<4>,
    whole: bool,
    fold: bool,
}

impl Words {
    fn on_message(&mut self, e: Event) -> Verdict<'_> {
        let content = e.payload();
        let s = &self.settings;
        if s.mode == Mode::Mask {
            if !self.search.mask(content, s.mask.as_bytes(), &mut self.masked) {
                return Verdict::CONTINUE;
            }
            if self.masked.len() > MAX_CONTENT {
                return Verdict::deny(Code::TooLarge, "content is over 65536 bytes when its words are masked");
            }
            return Verdict::rewrite(&self.masked);
        }
        if !self.search.any(content) {
            return Verdict::CONTINUE;
        }
        match s.mode {
            Mode::Drop => Verdict::DROP,
            _ => Verdict::deny(s.code, s.reason.as_str()),
        }
    }
}

impl Configure for Words {
    fn configure(config: Json<'_>) -> Result<Words, Refusal> {
        let (settings, words) = Settings::read(config)?;
        let list = List::read(words, settings.fold)?;
        let automaton = Automaton::new(list.words(), settings.fold);
        let classifier = Classifier::new(&automaton.classes);
        let (fold, whole) = (settings.fold, settings.whole);
        let search = Search { automaton, classifier, fold, whole, folded: Vec::new(), found: Vec::new() };
        Ok(Words { search, settings, masked: Vec::new() })
    }
}

impl Settings {
    /// Reads everything but the words, and finds their place: how they are read
    /// depends on the rest.
    fn read(config: Json<'_>) -> Result<(Settings, Json<'_>), Refusal> {
        let mut s =
            Settings { mode: Mode::Deny, code: Code::Invalid, reason: Name::new(), mask: Name::new(), whole: false, fold: true };
        let mut words = None;
        let (mut has_code, mut has_reason, mut has_mask) = (false, false, false);
        config.document(|json| {
            if json.peek() != Some(b'{') {
                return Err(Refusal::from("the configuration has to be an object"));
            }
            json.object(|key, json| {
                if key == "words" {
                    words = Some(json.clone());
                    json.skip()?;
                } else if key == "mode" {
                    s.mode = mode(json)?;
                } else if key == "code" {
                    has_code = true;
                    s.code = code(json)?;
                } else if key == "reason" {
                    has_reason = true;
                    s.reason = json.read().map_err(|_| "reason has to be a string of up to 512 bytes")?;
                } else if key == "mask" {
                    has_mask = true;
                    s.mask = mask(json)?;
                } else if key == "whole_words" {
                    s.whole = json.bool().map_err(|_| "whole_words has to be true or false")?;
                } else if key == "case_sensitive" {
                    s.fold = !json.bool().map_err(|_| "case_sensitive has to be true or false")?;
                } else {
                    return Err("unknown key: words, mode, code, reason, mask, whole_words and case_sensitive are known".into());
                }
                Ok(())
            })
        })?;
        if s.mode != Mode::Deny && (has_code || has_reason) {
            return Err("code and reason are for mode deny".into());
        }
        if s.mode != Mode::Mask && has_mask {
            return Err("mask is for mode mask".into());
        }
        if !has_mask {
            s.mask = Json::new(b"\"*\"").read()?;
        }
        if !has_reason {
            s.reason = Json::new(b"\"content has a word that is not welcome here\"").read()?;
        }
        Ok((s, words.ok_or("words is missing: a list of 1 to 10000 strings")?))
    }
}

fn mode(json: &mut Json<'_>) -> Result<Mode, Refusal> {
    match json.string() {
        Ok(s) if s == "deny" => Ok(Mode::Deny),
        Ok(s) if s == "mask" => Ok(Mode::Mask),
        Ok(s) if s == "drop" => Ok(Mode::Drop),
        _ => Err("mode has to be deny, mask or drop".into()),
    }
}

fn code(json: &mut Json<'_>) -> Result<Code, Refusal> {
    match json.int() {
        Ok(n @ (400 | 401 | 403 | 404 | 409 | 413 | 422 | 429 | 503 | 1000..=3999)) => Ok(Code::Own(n as u32)),
        _ => Err("code has to be 400, 401, 403, 404, 409, 413, 422, 429, 503 or 1000 to 3999".into()),
    }
}

/// The mask stands in a JSON string as it is.
fn mask(json: &mut Json<'_>) -> Result<Name<4>, Refusal> {
    let wrong = "mask has to be one character, and no quote, backslash or control character";
    let mask: Name<4> = json.read().map_err(|_| wrong)?;
    let mut chars = mask.as_str().chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if c >= ' ' && c != '"' && c != '\\' => Ok(mask),
        _ => Err(wrong.into()),
    }
}

/// The words, decoded and folded, one behind the other.
struct List {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl List {
    fn read(mut json: Json<'_>, fold: bool) -> Result<List, Refusal> {
        let wrong = "words has to be a list of 1 to 10000 strings";
        let mut list = List { bytes: Vec::new(), ends: Vec::new() };
        if json.peek() != Some(b'[') {
            return Err(wrong.into());
        }
        json.array(|json| {
            let n = list.ends.len();
            if n == MOST_WORDS {
                return Err(Refusal::from("words has more than 10000 words"));
            }
            let word = json.string().map_err(|_| Refusal::from("words[").int(n as i64).text("] has to be a string"))?;
            list.add(word, fold).map_err(|what| Refusal::from("words[").int(n as i64).text("] ").text(what))
        })?;
        if list.ends.is_empty() {
            return Err(wrong.into());
        }
        Ok(list)
    }

    fn add(&mut self, word: Str<'_>, fold: bool) -> Result<(), &'static str> {
        let start = self.bytes.len();
        let mut utf8 = [0; 4];
        for c in word.chars() {
            let c = if fold { fold::fold(c) } else { c };
            self.bytes.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes());
        }
        match self.bytes.len() - start {
            0 => return Err("is empty"),
            1..=LONGEST => {}
            _ => return Err("is longer than 255 bytes"),
        }
        if self.bytes.len() > MOST_BYTES {
            return Err("is where the words exceed 524288 bytes together");
        }
        self.ends.push(self.bytes.len() as u32);
        Ok(())
    }

    fn words(&self) -> Vec<&[u8]> {
        let mut words = vec![&[][..]; self.ends.len()];
        let mut start = 0;
        for (word, &end) in words.iter_mut().zip(&self.ends) {
            *word = &self.bytes[start..end as usize];
            start = end as usize;
        }
        words
    }
}

#[cfg(test)]
mod tests;

//! Room patterns, as they are in grants and in the node's own configuration.

/// The most bytes of a pattern.
pub const MAX_PATTERN: usize = 1024;

/// A room pattern: `*` stands for any run of bytes without `:`, `**` for any run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern<'a>(&'a str);

impl<'a> Pattern<'a> {
    /// Reads a pattern. The error says what is wrong, to be put behind its name:
    /// `has three stars in a row: …`.
    pub fn parse(text: &'a str) -> Result<Pattern<'a>, &'static str> {
        if text.is_empty() || text.len() > MAX_PATTERN {
            return Err("has to be a room pattern, a string of 1 to 1024 bytes");
        }
        let mut stars = 0;
        for b in text.bytes() {
            stars = if b == b'*' { stars + 1 } else { 0 };
            if stars == 3 {
                return Err("has three stars in a row: * is any run without a colon, ** any run");
            }
        }
        Ok(Pattern(text))
    }

    /// The pattern as it was written.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether it has `**` in it, and so may match rooms of any depth.
    pub fn is_deep(self) -> bool {
        self.0.as_bytes().windows(2).any(|w| w == b"**")
    }

    /// Whether it matches the whole name of a room.
    ///
    /// At a mismatch the last `*` takes one byte more, and where that is a `:` the
    /// last `**` does; earlier stars never need to be tried again, so the work is
    /// bounded by the product of the lengths.
    pub fn matches(self, room: &str) -> bool {
        let (p, s) = (self.0.as_bytes(), room.as_bytes());
        let star_at = |i: usize| p.get(i) == Some(&b'*');
        let (mut i, mut k) = (0, 0);
        let mut star = (0, 0); // behind the last * since the last **, and where its run ends; 0: none
        let mut deep = (0, 0); // the same of the last **
        loop {
            if star_at(i) {
                if star_at(i + 1) {
                    i += 2;
                    deep = (i, k);
                    star = (0, 0);
                } else {
                    i += 1;
                    star = (i, k);
                }
                continue;
            }
            match (p.get(i), s.get(k)) {
                (None, None) => return true,
                (Some(a), Some(b)) if a == b => {
                    i += 1;
                    k += 1;
                    continue;
                }
                _ => {}
            }
            if star.0 != 0 {
                match s.get(star.1) {
                    None => return false, // a ** that began later would only see less
                    Some(b':') => {}
                    Some(_) => {
                        star.1 += 1;
                        (i, k) = star;
                        continue;
                    }
                }
                if deep.0 == 0 {
                    return false;
                }
                // What follows the ** has a fixed number of colons: it can only fit
                // where the first of them is another one.
                while s.get(deep.1).is_some_and(|&b| b != b':') {
                    deep.1 += 1;
                }
                star = (0, 0);
            } else if deep.0 == 0 || deep.1 == s.len() {
                return false;
            }
            deep.1 += 1;
            (i, k) = deep;
        }
    }
}

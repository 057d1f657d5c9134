//! Aho–Corasick over bytes: one state for each prefix of a word, numbered level
//! by level, so that a state's children are neighbours.
//!
//! Shallow states, in which text spends its time, have a row with the next state
//! for each class of bytes, where no word ends there. All other steps lead to one
//! state more, `stop`, and are taken again by way of children and failure links.
//!
//! A step waits for the one before, mostly for the memory that its row is in. So
//! longer text is gone through in four places at once (`four`).

use alloc::vec;
use alloc::vec::Vec;

/// The most entries of the table, of two bytes each.
const MOST_ENTRIES: usize = 4 << 20;

/// The most states with a row: their numbers and `stop` have to fit an entry.
const MOST_ROWS: usize = u16::MAX as usize;

/// The state before a text.
pub const START: u32 = 0;

/// Text of this length at least is gone through in four places.
const WORTH: usize = 32;

/// A state is its number. The first `rows` have a row in the table.
pub struct Automaton {
    /// By class, row by row: the next state.
    table: Vec<u16>,
    /// Those of printable ASCII are below 128.
    pub classes: [u8; 256],
    /// Of the entries of a row, the binary logarithm: 5 to 8.
    shift: u32,
    rows: u32,
    /// How many states there are up to a level.
    levels: Vec<u32>,
    /// By number of the state, and one behind them.
    nodes: Vec<Node>,
}

/// What is known of a state, together, as a step without a row needs most of it.
#[derive(Clone, Copy, Default)]
struct Node {
    first: u32, // its first child; the next one's is the end of them
    fail: u32,  // the longest proper suffix that is a state
    label: u8,  // the class of the byte that leads to it
    length: u8, // of the word that ends here; 0: none
    hit: bool,  // whether one ends here, or at a suffix
}

/// What a build needs of a state until its children are known.
struct Range {
    low: u32,
    high: u32,
}

impl Automaton {
    /// Builds it from words of 1 to 255 bytes, folded if `fold`: then ASCII letters
    /// are of one class.
    pub fn new(mut words: Vec<&[u8]>, fold: bool) -> Automaton {
        words.sort_unstable();
        words.dedup();
        let (classes, shift) = classify(&words, fold);
        let states = states(&words);
        let rows = states.min(MOST_ROWS).min((MOST_ENTRIES >> shift) - 1);
        let table = vec![rows as u16; (rows + 1) << shift];
        let mut a = Automaton {
            table,
            classes,
            shift,
            rows: rows as u32,
            levels: Vec::new(),
            nodes: Vec::with_capacity(states + 1),
        };
        a.nodes.push(Node::default());
        a.grow(&words, states);
        a
    }

    /// Goes through the states level by level, making each one's children and row.
    fn grow(&mut self, words: &[&[u8]], states: usize) {
        let mut ranges = Vec::with_capacity(states);
        ranges.push(Range { low: 0, high: words.len() as u32 });
        let (mut depth, mut level_end) = (0, 1);
        let mut state = 0;
        while state < ranges.len() {
            if state == level_end {
                depth += 1;
                self.levels.push(level_end as u32);
                level_end = ranges.len();
            }
            self.nodes[state].first = ranges.len() as u32;
            let Range { mut low, high } = ranges[state];
            if self.nodes[state].length != 0 {
                low += 1; // the word that ends here is the first of its range
            }
            while low < high {
                let byte = words[low as usize][depth];
                let start = low;
                while low < high && words[low as usize][depth] == byte {
                    low += 1;
                }
                ranges.push(Range { low: start, high: low });
                let ends = words[start as usize].len() == depth + 1;
                let class = self.classes[byte as usize];
                let fail = if state == 0 { 0 } else { self.next(self.nodes[state].fail, class) };
                self.nodes.push(Node {
                    first: 0, // until its turn
                    fail,
                    label: class,
                    length: if ends { depth as u8 + 1 } else { 0 },
                    hit: ends || self.nodes[fail as usize].hit,
                });
            }
            self.fill(state, ranges.len());
            state += 1;
        }
        self.nodes.push(Node { first: ranges.len() as u32, ..Node::default() });
    }

    /// Fills the row of a state: as its suffix goes on, except to its own children.
    fn fill(&mut self, state: usize, children_end: usize) {
        if state >= self.rows as usize {
            return;
        }
        let row = state << self.shift;
        if state == 0 {
            self.table[..1 << self.shift].fill(0);
        } else {
            let from = (self.nodes[state].fail as usize) << self.shift;
            self.table.copy_within(from..from + (1 << self.shift), row);
        }
        for child in self.nodes[state].first as usize..children_end {
            let stops = self.nodes[child].hit || child >= self.rows as usize;
            self.table[row + self.nodes[child].label as usize] = if stops { self.rows as u16 } else { child as u16 };
        }
    }

    /// The state behind a state and a class.
    fn next(&self, mut number: u32, class: u8) -> u32 {
        loop {
            if number < self.rows {
                let next = self.table[((number as usize) << self.shift) + class as usize];
                if u32::from(next) != self.rows {
                    return next.into();
                }
            }
            let node = &self.nodes[number as usize];
            let children = node.first as usize..self.nodes[number as usize + 1].first as usize;
            if let Some(i) = self.nodes[children].iter().position(|child| child.label == class) {
                return node.first + i as u32;
            }
            number = node.fail;
        }
    }

    /// The state behind a state and a byte.
    #[inline]
    pub fn step(&self, state: u32, byte: u8) -> u32 {
        self.next(state, self.classes[byte as usize])
    }

    /// Whether a word ends in a state.
    #[inline]
    pub fn hit(&self, state: u32) -> bool {
        self.nodes[state as usize].hit
    }

    /// The state behind a state and a text of ASCII, given as twice the class of each
    /// byte; `None` if a word ends in it. It may begin the text again: it is meant
    /// for text of up to some thousand bytes.
    #[inline]
    pub fn pass(&self, state: u32, text: &[u8]) -> Option<u32> {
        match self.shift {
            5 => self.go::<5>(state, text),
            6 => self.go::<6>(state, text),
            7 => self.go::<7>(state, text),
            _ => self.go::<8>(state, text),
        }
    }

    fn go<const SHIFT: usize>(&self, mut state: u32, text: &[u8]) -> Option<u32> {
        let mut at = 0;
        if text.len() >= WORTH && state < self.rows {
            (state, at) = self.four::<SHIFT>(state, text);
        }
        while at < text.len() {
            if state < self.rows {
                (state, at) = self.one::<SHIFT>(state, text, at);
            }
            if let Some(&class) = text.get(at) {
                state = self.next(state, class >> 1);
                if self.hit(state) {
                    return None;
                }
                at += 1;
            }
        }
        Some(state)
    }

    /// The state behind a state with a row, or `stop`, and twice a class.
    #[inline(always)]
    fn look<const SHIFT: usize>(&self, state: usize, class: u8) -> usize {
        let at = (state << (SHIFT + 1)) + class as usize;
        // The table has a row for stop too, and entries are states with a row, and
        // stop; classes are below the length of a row.
        unsafe { *self.table.as_ptr().byte_add(at) as usize }
    }

    /// Steps on from a place, one by one, up to a byte that leads to stop or the end.
    #[inline(always)]
    fn one<const SHIFT: usize>(&self, state: u32, text: &[u8], mut at: usize) -> (u32, usize) {
        let stop = self.rows as usize;
        let mut state = state as usize;
        while let Some(chunk) = eight(text, at) {
            for i in 0..8 {
                let next = self.look::<SHIFT>(state, (chunk >> (8 * i)) as u8);
                if next == stop {
                    return (state as u32, at + i);
                }
                state = next;
            }
            at += 8;
        }
        while let Some(&class) = text.get(at) {
            let next = self.look::<SHIFT>(state, class);
            if next == stop {
                break;
            }
            state = next;
            at += 1;
        }
        (state as u32, at)
    }

    /// Goes through most of a text, four quarters at once, each but the first as if
    /// a text began there. Then each goes on into the next, until what it is in
    /// began there too: from there on both are the same. Returns how far it has come
    /// if nothing has led to stop, and a place before that otherwise.
    #[inline(always)]
    fn four<const SHIFT: usize>(&self, state: u32, text: &[u8]) -> (u32, usize) {
        let stop = self.rows as usize;
        let quarter = text.len() / 16 * 4;
        let (mut a, mut b, mut c, mut d) = (state as usize, 0, 0, 0);
        let mut at = 0;
        // Quarters are multiples of four bytes, and four of them fit the text.
        let load = |at: usize| unsafe { u32::from_le(text.as_ptr().add(at).cast::<u32>().read_unaligned()) };
        while at < quarter {
            let (p, q) = (load(at), load(at + quarter));
            let (r, s) = (load(at + 2 * quarter), load(at + 3 * quarter));
            let before = a;
            let mut step = |i: u32| {
                a = self.look::<SHIFT>(a, (p >> (8 * i)) as u8);
                b = self.look::<SHIFT>(b, (q >> (8 * i)) as u8);
                c = self.look::<SHIFT>(c, (r >> (8 * i)) as u8);
                d = self.look::<SHIFT>(d, (s >> (8 * i)) as u8);
            };
            // Written out, as each time around a loop is paid for; and no more of them,
            // as a compiler does all of a before b, and few are under way at once.
            step(0);
            step(1);
            step(2);
            step(3);
            if a == stop || b == stop || c == stop || d == stop {
                return (before as u32, at);
            }
            at += 4;
        }
        for (i, mut state) in [a, b, c].into_iter().enumerate() {
            let rest = &text[(i + 1) * quarter..4 * quarter];
            let mut depth = 0;
            while self.levels.get(depth).is_some_and(|&end| state as u32 >= end) {
                let next = match rest.get(depth) {
                    Some(&class) => self.look::<SHIFT>(state, class),
                    None => stop,
                };
                if next == stop {
                    return (state as u32, (i + 1) * quarter + depth);
                }
                state = next;
                depth += 1;
            }
        }
        (d as u32, 4 * quarter)
    }

    /// The lengths of the words that end in a state, longest first.
    pub fn ends(&self, state: u32) -> impl Iterator<Item = usize> + '_ {
        let mut number = state;
        core::iter::from_fn(move || loop {
            let node = &self.nodes[number as usize];
            if !node.hit {
                return None;
            }
            number = node.fail;
            if node.length != 0 {
                return Some(node.length.into());
            }
        })
    }
}

/// Eight bytes of a text.
#[inline(always)]
fn eight(text: &[u8], at: usize) -> Option<u64> {
    let bytes = text.get(at..at + 8)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// Gives each byte that occurs in a word a class of its own, from 1: printable
/// ASCII first, so that twice the class of those fits a byte, and the frequent ones first, so that
/// most steps find what they need in the first line of a row that is longer than a
/// line of the processor's cache. Returns the logarithm of a row's length too.
fn classify(words: &[&[u8]], fold: bool) -> ([u8; 256], u32) {
    let mut occurs = [(false, 0u32, 0u8); 256];
    for (i, count) in occurs.iter_mut().enumerate() {
        *count = ((0x20..0x80).contains(&i), 0, i as u8);
    }
    for byte in words.iter().flat_map(|w| w.iter()) {
        occurs[*byte as usize].1 += 1;
    }
    occurs.sort_unstable_by(|a, b| b.cmp(a));
    let mut classes = [0; 256];
    let mut count: u32 = 1;
    for (_, _, byte) in occurs.iter().filter(|(_, times, _)| *times > 0) {
        classes[*byte as usize] = count as u8;
        count += 1;
    }
    if fold {
        for capital in b'A'..=b'Z' {
            classes[capital as usize] = classes[capital.to_ascii_lowercase() as usize];
        }
    }
    (classes, count.next_power_of_two().trailing_zeros().max(5))
}

/// How many states sorted words have: one for each byte that is not part of a
/// prefix shared with the word before, and the start.
fn states(words: &[&[u8]]) -> usize {
    let mut n = 1;
    let mut before: &[u8] = &[];
    for word in words {
        let shared = before.iter().zip(word.iter()).take_while(|(a, b)| a == b).count();
        n += word.len() - shared;
        before = word;
    }
    n
}

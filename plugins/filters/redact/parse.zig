//! Reads a pattern into a tree. README.md has the syntax; whatever is not in it
//! is refused with its position.

const std = @import("std");

pub const max_nodes = 600;
pub const max_ranges = 2000;
pub const max_depth = 16; // of groups within each other
pub const max_repeat = 250;

pub const Range = struct { low: u21, high: u21 };
pub const last_char: u21 = 0x10FFFF;

pub const Node = union(enum) {
    empty,
    chars: struct { from: u16, to: u16 }, // of ranges
    begin,
    end,
    boundary,
    not_boundary,
    cat: struct { a: u16, b: u16 },
    either: struct { a: u16, b: u16 }, // a is preferred
    repeat: struct { of: u16, min: u16, max: ?u16 },
};

pub const Error = error{BadPattern};

/// The tree of one pattern. Only configuring uses it, so that there is one.
pub const Tree = struct {
    text: []const u8,
    at: usize = 0,
    depth: usize = 0,
    nodes: [max_nodes]Node = undefined,
    nodes_len: u16 = 0,
    ranges: [max_ranges]Range = undefined,
    ranges_len: u16 = 0,

    /// What is wrong at `at`, after an error.
    why: []const u8 = "",

    pub fn parse(t: *Tree, text: []const u8) Error!u16 {
        t.text = text;
        t.at = 0;
        t.depth = 0;
        t.nodes_len = 0;
        t.ranges_len = 0;
        const root = try t.alternatives();
        if (t.at < text.len) return t.refuse("there is no group that this closes");
        return root;
    }

    fn refuse(t: *Tree, why: []const u8) Error {
        t.why = why;
        return error.BadPattern;
    }

    fn add(t: *Tree, node: Node) Error!u16 {
        if (t.nodes_len == max_nodes) return t.refuse("the pattern is too large");
        t.nodes[t.nodes_len] = node;
        t.nodes_len += 1;
        return t.nodes_len - 1;
    }

    fn peek(t: *const Tree) u8 {
        return if (t.at < t.text.len) t.text[t.at] else 0;
    }
    fn more(t: *const Tree) bool {
        return t.at < t.text.len;
    }

    fn alternatives(t: *Tree) Error!u16 {
        const a = try t.sequence();
        if (t.peek() != '|') return a;
        t.at += 1;
        t.depth += 1; // alternatives are nested to the right
        defer t.depth -= 1;
        if (t.depth > 100) return t.refuse("there are more than 100 alternatives");
        return t.add(.{ .either = .{ .a = a, .b = try t.alternatives() } });
    }

    fn sequence(t: *Tree) Error!u16 {
        var left = try t.add(.empty);
        while (t.more() and t.peek() != '|' and t.peek() != ')') {
            left = try t.add(.{ .cat = .{ .a = left, .b = try t.repeated() } });
        }
        return left;
    }

    fn repeated(t: *Tree) Error!u16 {
        const of = try t.atom();
        var min: u16 = 0;
        var max: ?u16 = null;
        switch (t.peek()) {
            '*' => {},
            '+' => min = 1,
            '?' => max = 1,
            '{' => {
                t.at += 1;
                min = try t.number();
                max = min;
                if (t.peek() == ',') {
                    t.at += 1;
                    max = if (t.peek() == '}') null else try t.number();
                }
                if (t.peek() != '}') return t.refuse("a repetition is {n}, {n,} or {n,m}");
                if (max) |m| if (m < min) return t.refuse("a repetition has to be from few to many");
            },
            else => return of,
        }
        t.at += 1;
        switch (t.peek()) {
            '?' => return t.refuse("repetitions that prefer less are not known here"),
            '*', '+', '{' => return t.refuse("a repetition cannot be repeated: put it in a group"),
            else => {},
        }
        return t.add(.{ .repeat = .{ .of = of, .min = min, .max = max } });
    }

    fn number(t: *Tree) Error!u16 {
        const from = t.at;
        var v: u16 = 0;
        while (std.ascii.isDigit(t.peek())) : (t.at += 1) {
            v = v * 10 + (t.peek() - '0');
            if (v > max_repeat) return t.refuse("a repetition is of at most 250");
        }
        if (t.at == from) return t.refuse("a repetition is {n}, {n,} or {n,m}; a brace itself is \\{");
        return v;
    }

    fn atom(t: *Tree) Error!u16 {
        switch (t.peek()) {
            '(' => return t.group(),
            '[' => return t.class(),
            '.' => {
                t.at += 1;
                return t.negated(&.{.{ .low = '\n', .high = '\n' }});
            },
            '^' => return t.simple(.begin),
            '$' => return t.simple(.end),
            '\\' => return t.escaped(),
            '*', '+', '?', '{' => return t.refuse("there is nothing to repeat before this"),
            ']', '}' => return t.refuse("a bracket or brace itself is written with a backslash"),
            else => {
                const c = try t.char();
                return t.single(c);
            },
        }
    }

    fn simple(t: *Tree, node: Node) Error!u16 {
        t.at += 1;
        return t.add(node);
    }

    fn group(t: *Tree) Error!u16 {
        const open = t.at;
        t.at += 1;
        if (t.peek() == '?') {
            if (!std.mem.startsWith(u8, t.text[t.at..], "?:")) return t.refuse("of (?…) only (?:…) is known here");
            t.at += 2;
        }
        t.depth += 1;
        defer t.depth -= 1;
        if (t.depth > max_depth) return t.refuse("groups are nested too deep");
        const inner = try t.alternatives();
        if (t.peek() != ')') {
            t.at = open;
            return t.refuse("the group is not closed");
        }
        t.at += 1;
        return inner;
    }

    /// The next character, whatever it is.
    fn char(t: *Tree) Error!u21 {
        const n = std.unicode.utf8ByteSequenceLength(t.text[t.at]) catch return t.refuse("not UTF-8");
        if (t.text.len - t.at < n) return t.refuse("not UTF-8");
        const c = std.unicode.utf8Decode(t.text[t.at..][0..n]) catch return t.refuse("not UTF-8");
        t.at += n;
        return c;
    }

    fn single(t: *Tree, c: u21) Error!u16 {
        return t.chars(&.{.{ .low = c, .high = c }});
    }

    fn addRange(t: *Tree, r: Range) Error!void {
        if (t.ranges_len == max_ranges) return t.refuse("the pattern has too many characters");
        t.ranges[t.ranges_len] = r;
        t.ranges_len += 1;
    }
    fn chars(t: *Tree, all: []const Range) Error!u16 {
        const from = t.ranges_len;
        for (all) |r| try t.addRange(r);
        return t.add(.{ .chars = .{ .from = from, .to = t.ranges_len } });
    }
    fn negated(t: *Tree, all: []const Range) Error!u16 {
        const from = t.ranges_len;
        try t.addNegated(all);
        return t.add(.{ .chars = .{ .from = from, .to = t.ranges_len } });
    }
    /// Adds what is in none of some ranges, which it sorts.
    fn addNegated(t: *Tree, all: []const Range) Error!void {
        var sorted: [200]Range = undefined;
        if (all.len > sorted.len) return t.refuse("the class has too many characters");
        for (all, 0..) |r, i| { // insertion sort
            var k = i;
            while (k > 0 and sorted[k - 1].low > r.low) : (k -= 1) sorted[k] = sorted[k - 1];
            sorted[k] = r;
        }
        var next: u21 = 0;
        for (sorted[0..all.len]) |r| {
            if (r.low > next) try t.addRange(.{ .low = next, .high = r.low - 1 });
            next = @max(next, r.high + 1);
        }
        if (next <= last_char) try t.addRange(.{ .low = next, .high = last_char });
    }

    const digits = [_]Range{.{ .low = '0', .high = '9' }};
    pub const word = [_]Range{ .{ .low = '0', .high = '9' }, .{ .low = 'A', .high = 'Z' }, .{ .low = '_', .high = '_' }, .{ .low = 'a', .high = 'z' } };
    const space = [_]Range{ .{ .low = '\t', .high = '\n' }, .{ .low = 12, .high = '\r' }, .{ .low = ' ', .high = ' ' } };

    /// The class of \d, \w and \s, in either case; null of any other letter.
    fn perl(c: u8) ?[]const Range {
        return switch (c | 0x20) {
            'd' => &digits,
            'w' => &word,
            's' => &space,
            else => null,
        };
    }

    fn escaped(t: *Tree) Error!u16 {
        t.at += 1;
        const c = t.peek();
        if (perl(c)) |all| {
            t.at += 1;
            return if (std.ascii.isLower(c)) t.chars(all) else t.negated(all);
        }
        if (c == 'b') return t.simple(.boundary);
        if (c == 'B') return t.simple(.not_boundary);
        return t.single(try t.literalEscape());
    }

    /// Behind a backslash: a character that stands for itself or for another.
    fn literalEscape(t: *Tree) Error!u21 {
        if (!t.more()) return t.refuse("a backslash ends the pattern");
        const c = t.peek();
        switch (c) {
            'n' => return t.taken('\n'),
            't' => return t.taken('\t'),
            'r' => return t.taken('\r'),
            else => {},
        }
        if (c >= 0x80 or std.ascii.isAlphanumeric(c) or c <= ' ') return t.refuse("this escape is not known here");
        return t.taken(c);
    }
    fn taken(t: *Tree, c: u21) u21 {
        t.at += 1;
        return c;
    }

    fn class(t: *Tree) Error!u16 {
        const open = t.at;
        t.at += 1;
        const negate = t.peek() == '^';
        if (negate) t.at += 1;
        const from = t.ranges_len;
        var first = true;
        while (t.peek() != ']') : (first = false) {
            if (!t.more()) {
                t.at = open;
                return t.refuse("the class is not closed");
            }
            try t.classItem(first);
        }
        if (first) return t.refuse("the class is empty; a bracket itself is \\]");
        t.at += 1;
        if (!negate) return t.add(.{ .chars = .{ .from = from, .to = t.ranges_len } });
        const to = t.ranges_len;
        try t.addNegated(t.ranges[from..to]);
        return t.add(.{ .chars = .{ .from = to, .to = t.ranges_len } });
    }

    fn classItem(t: *Tree, first: bool) Error!void {
        if (t.peek() == '\\' and t.at + 1 < t.text.len) {
            const c = t.text[t.at + 1];
            if (perl(c)) |all| {
                t.at += 2;
                if (std.ascii.isLower(c)) {
                    for (all) |r| try t.addRange(r);
                } else try t.addNegated(all);
                if (t.peek() == '-' and t.at + 1 < t.text.len and t.text[t.at + 1] != ']') return t.refuse("a class cannot begin a range");
                return;
            }
        }
        if (t.peek() == '-' and !first and t.at + 1 < t.text.len and t.text[t.at + 1] != ']')
            return t.refuse("a hyphen itself is written \\-, or first or last");
        const low = try t.classChar();
        if (t.peek() != '-' or t.at + 1 >= t.text.len or t.text[t.at + 1] == ']') return t.addRange(.{ .low = low, .high = low });
        t.at += 1;
        const high = try t.classChar();
        if (high < low) return t.refuse("the range is the wrong way round");
        return t.addRange(.{ .low = low, .high = high });
    }

    fn classChar(t: *Tree) Error!u21 {
        switch (t.peek()) {
            '[' => return t.refuse("a bracket itself is \\["),
            '\\' => {
                t.at += 1;
                return t.literalEscape();
            },
            else => return t.char(),
        }
    }
};

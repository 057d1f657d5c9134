//! Reads a small JSON document, strictly, forward and once. It is meant for
//! configurations, not for message content. `config` is built on it.

const std = @import("std");

pub const Kind = enum { object, array, string, number, boolean, null };

pub const Error = error{
    /// The text is not JSON, or not of the type that was asked for.
    Syntax,
    /// A decoded string does not fit.
    NoSpaceLeft,
};

pub const Reader = struct {
    text: []const u8,
    at: usize = 0,

    pub fn in(text: []const u8) Reader {
        return .{ .text = text };
    }

    /// The first byte of the next token; 0 at the end.
    fn peek(r: *Reader) u8 {
        while (r.at < r.text.len) : (r.at += 1) {
            switch (r.text[r.at]) {
                ' ', '\t', '\n', '\r' => {},
                else => |c| return c,
            }
        }
        return 0;
    }

    /// What comes next.
    pub fn kind(r: *Reader) Error!Kind {
        return switch (r.peek()) {
            '{' => .object,
            '[' => .array,
            '"' => .string,
            '-', '0'...'9' => .number,
            't', 'f' => .boolean,
            'n' => .null,
            else => error.Syntax,
        };
    }

    fn take(r: *Reader, c: u8) Error!void {
        if (r.peek() != c) return error.Syntax;
        r.at += 1;
    }

    /// Whether the document has been read to its end.
    pub fn done(r: *Reader) bool {
        return r.peek() == 0 and r.at == r.text.len;
    }

    /// Goes into an object or array: its members are read until `another` says
    /// that there is none.
    pub fn enter(r: *Reader, bracket: u8) Error!void {
        try r.take(bracket);
    }
    pub fn another(r: *Reader, close: u8, first: bool) Error!bool {
        const c = r.peek();
        if (c == close) {
            r.at += 1;
            return false;
        }
        if (!first) try r.take(',');
        const next = r.peek();
        return if (next == 0 or next == close) error.Syntax else true;
    }

    /// Reads the key of a member and its colon.
    pub fn key(r: *Reader, storage: []u8) Error![]u8 {
        const name = try r.string(storage);
        try r.take(':');
        return name;
    }

    pub fn boolean(r: *Reader) Error!bool {
        const yes = r.peek() == 't';
        try r.word(if (yes) "true" else "false");
        return yes;
    }
    pub fn nothing(r: *Reader) Error!void {
        _ = r.peek();
        try r.word("null");
    }
    fn word(r: *Reader, text: []const u8) Error!void {
        if (!std.mem.startsWith(u8, r.text[r.at..], text)) return error.Syntax;
        r.at += text.len;
    }

    /// Reads a whole number without fraction and exponent, of up to 18 digits.
    pub fn int(r: *Reader) Error!i64 {
        const negative = r.peek() == '-';
        if (negative) r.at += 1;
        const from = r.at;
        var v: i64 = 0;
        while (r.at < r.text.len and std.ascii.isDigit(r.text[r.at])) : (r.at += 1) {
            if (r.at - from == 18 or (v == 0 and r.at > from)) return error.Syntax;
            v = v * 10 + (r.text[r.at] - '0');
        }
        if (r.at == from) return error.Syntax;
        if (r.at < r.text.len and (r.text[r.at] == '.' or r.text[r.at] | 0x20 == 'e')) return error.Syntax;
        return if (negative) -v else v;
    }

    /// Reads a string, decoded, into storage.
    pub fn string(r: *Reader, storage: []u8) Error![]u8 {
        try r.take('"');
        var n: usize = 0;
        while (r.at < r.text.len) {
            var c = r.text[r.at];
            r.at += 1;
            if (c == '"') return storage[0..n];
            if (c < ' ') return error.Syntax;
            var unit: [4]u8 = undefined;
            var used: usize = 1;
            if (c == '\\') {
                if (r.at == r.text.len) break;
                c = r.text[r.at];
                r.at += 1;
                switch (c) {
                    'b' => c = 8,
                    'f' => c = 12,
                    'n' => c = '\n',
                    'r' => c = '\r',
                    't' => c = '\t',
                    '"', '\\', '/' => {},
                    'u' => used = encode(try r.escape(), &unit),
                    else => return error.Syntax,
                }
                if (c != 'u') unit[0] = c;
            } else unit[0] = c;
            if (used > storage.len - n) return error.NoSpaceLeft;
            @memcpy(storage[n..][0..used], unit[0..used]);
            n += used;
        }
        return error.Syntax;
    }

    /// The code point behind \u; a lone surrogate is refused.
    fn escape(r: *Reader) Error!u21 {
        const high = try r.codeUnit();
        if (high < 0xD800 or high >= 0xE000) return high;
        if (high >= 0xDC00 or !std.mem.startsWith(u8, r.text[r.at..], "\\u")) return error.Syntax;
        r.at += 2;
        const low = try r.codeUnit();
        if (low < 0xDC00 or low >= 0xE000) return error.Syntax;
        return 0x10000 + (@as(u21, high - 0xD800) << 10) + (low - 0xDC00);
    }
    fn codeUnit(r: *Reader) Error!u16 {
        if (r.text.len - r.at < 4) return error.Syntax;
        var v: u16 = 0;
        for (r.text[r.at..][0..4]) |c| v = v << 4 | @as(u16, hexDigit(c) orelse return error.Syntax);
        r.at += 4;
        return v;
    }
};

pub fn hexDigit(c: u8) ?u4 {
    return switch (c) {
        '0'...'9' => @intCast(c - '0'),
        'a'...'f' => @intCast(c - 'a' + 10),
        'A'...'F' => @intCast(c - 'A' + 10),
        else => null,
    };
}

/// Writes a code point as UTF-8; returns the number of bytes.
pub fn encode(c: u21, out: *[4]u8) usize {
    if (c < 0x80) {
        out[0] = @intCast(c);
        return 1;
    }
    const n: usize = if (c < 0x800) 2 else if (c < 0x10000) 3 else 4;
    var rest = c;
    var i = n - 1;
    while (i > 0) : (i -= 1) {
        out[i] = 0x80 | @as(u8, @intCast(rest & 0x3F));
        rest >>= 6;
    }
    const lead: u8 = if (n == 2) 0xC0 else if (n == 3) 0xE0 else 0xF0;
    out[0] = lead | @as(u8, @intCast(rest));
    return n;
}

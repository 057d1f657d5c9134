//! The strings of a JSON value: where they are, what they say, and what replaces
//! parts of them.

const std = @import("std");

/// A string that is a value, not a key: what is between its quotes.
pub const String = struct { begin: usize, end: usize, escaped: bool, marks: u8 };

/// What a string has in it, see marks.
pub const at_sign: u8 = 1;
pub const digit: u8 = 2;
const stop: u8 = 4; // a quote or a backslash

const marks_of: [256]u8 = make: {
    var out: [256]u8 = @splat(0);
    for ('0'..'9' + 1) |c| out[c] = digit;
    out['@'] = at_sign;
    out['"'] = stop;
    out['\\'] = stop;
    break :make out;
};

const lanes = 16;
const Lanes = @Vector(lanes, u8);

/// Passes whole lanes without a quote or backslash.
fn plain(text: []const u8, from: usize, marks: *u8) usize {
    const zero: Lanes = @splat(0);
    const at_signs: Lanes = @splat(at_sign);
    const digits: Lanes = @splat(digit);
    var seen = zero;
    var i = from;
    while (i + lanes <= text.len) : (i += lanes) {
        const v: Lanes = text[i..][0..lanes].*;
        const quotes = v == @as(Lanes, @splat('"'));
        const backslashes = v == @as(Lanes, @splat('\\'));
        if (@reduce(.Or, quotes | backslashes)) break;
        seen |= @select(u8, v == @as(Lanes, @splat('@')), at_signs, zero);
        seen |= @select(u8, v -% @as(Lanes, @splat('0')) < @as(Lanes, @splat(10)), digits, zero);
    }
    marks.* |= @reduce(.Or, seen);
    return i;
}

/// The first digit at or behind a place; the end if there is none.
pub fn digitFrom(text: []const u8, from: usize) usize {
    var i = from;
    while (i + lanes <= text.len) : (i += lanes) {
        const v: Lanes = text[i..][0..lanes].*;
        if (@reduce(.Or, v -% @as(Lanes, @splat('0')) < @as(Lanes, @splat(10)))) break;
    }
    while (i < text.len and !std.ascii.isDigit(text[i])) i += 1;
    return i;
}

/// Goes from string to string.
pub const Strings = struct {
    text: []const u8,
    at: usize = 0,

    pub fn next(s: *Strings) ?String {
        while (std.mem.findScalarPos(u8, s.text, s.at, '"')) |quote| {
            const string = s.read(quote + 1);
            s.at = @min(string.end + 1, s.text.len);
            if (!s.isKey()) return string;
        }
        return null;
    }

    fn read(s: *const Strings, begin: usize) String {
        var i = begin;
        var marks: u8 = 0;
        var escaped = false;
        read: while (true) {
            i = plain(s.text, i, &marks);
            const until = @min(i + lanes, s.text.len);
            while (i < until) : (i += 1) {
                const m = marks_of[s.text[i]];
                marks |= m;
                if (m & stop == 0) continue;
                if (s.text[i] == '"') break :read;
                escaped = true;
                i += 1;
            }
            if (i >= s.text.len) break;
        }
        // An escape may stand for anything.
        return .{ .begin = begin, .end = @min(i, s.text.len), .escaped = escaped, .marks = if (escaped) 0xFF else marks };
    }

    fn isKey(s: *const Strings) bool {
        for (s.text[s.at..]) |c| switch (c) {
            ' ', '\t', '\n', '\r' => {},
            else => return c == ':',
        };
        return false;
    }
};

/// One character of a string as it stands: how long it is there, and decoded. Of
/// what is not escaped a byte.
pub const Unit = struct { raw: usize, decoded: usize };

/// Decodes the unit at the begin of raw into out.
pub fn decodeUnit(raw: []const u8, out: *[4]u8) Unit {
    if (raw[0] != '\\' or raw.len < 2) {
        out[0] = raw[0];
        return .{ .raw = 1, .decoded = 1 };
    }
    out[0] = switch (raw[1]) {
        'b' => 8,
        'f' => 12,
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return decodeCodeUnit(raw, out),
        else => raw[1],
    };
    return .{ .raw = 2, .decoded = 1 };
}

fn decodeCodeUnit(raw: []const u8, out: *[4]u8) Unit {
    const high = codeUnit(raw) orelse return .{ .raw = @min(6, raw.len), .decoded = 0 };
    var c: u21 = high;
    var used: usize = 6;
    if (high >= 0xD800 and high < 0xE000) {
        c = 0xFFFD; // half of a pair says nothing
        if (high < 0xDC00) if (codeUnit(raw[6..])) |low| if (low >= 0xDC00 and low < 0xE000) {
            c = 0x10000 + (@as(u21, high - 0xD800) << 10) + (low - 0xDC00);
            used = 12;
        };
    }
    return .{ .raw = used, .decoded = std.unicode.utf8Encode(c, out) catch 0 };
}

/// The value of \uXXXX.
fn codeUnit(raw: []const u8) ?u16 {
    if (raw.len < 6 or raw[0] != '\\' or raw[1] != 'u') return null;
    var v: u16 = 0;
    for (raw[2..6]) |c| v = v << 4 | (std.fmt.charToDigit(c, 16) catch return null);
    return v;
}

/// Decodes a string into out, which is as long as it at least.
pub fn decode(raw: []const u8, out: []u8) []u8 {
    var n: usize = 0;
    var i: usize = 0;
    while (i < raw.len) {
        if (raw[i] != '\\') {
            const to = std.mem.findScalarPos(u8, raw, i, '\\') orelse raw.len;
            @memcpy(out[n..][0 .. to - i], raw[i..to]);
            n += to - i;
            i = to;
            continue;
        }
        var unit: [4]u8 = undefined;
        const u = decodeUnit(raw[i..], &unit);
        @memcpy(out[n..][0..u.decoded], unit[0..u.decoded]);
        n += u.decoded;
        i += u.raw;
    }
    return out[0..n];
}

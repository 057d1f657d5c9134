//! E-mail addresses in text: what people write of RFC 5321.
//!
//! Before the @ a run of letters, digits and !#$%'*+-.^_~, from its first letter,
//! digit or underscore. Behind it two or more labels with points between them, of
//! letters, digits and hyphens, no hyphen at either end; the last one begins with
//! a letter and has at least two characters. Letters are ASCII and U+00C0 to
//! U+053F: Latin, Greek, Cyrillic. So & = / ? : do not belong to an address: they
//! stand around addresses in queries and links.

const std = @import("std");

/// The length of the letter that ends before `end`, and whether it is one.
fn letterBefore(text: []const u8, end: usize) usize {
    const c = text[end - 1];
    if (c < 0x80) return @intFromBool(std.ascii.isAlphabetic(c));
    return if (end >= 2 and isWide(text[end - 2 ..])) 2 else 0;
}
fn letterAt(text: []const u8, i: usize) usize {
    if (i >= text.len) return 0;
    if (text[i] < 0x80) return @intFromBool(std.ascii.isAlphabetic(text[i]));
    return if (isWide(text[i..])) 2 else 0;
}
/// U+00C0 to U+053F.
fn isWide(text: []const u8) bool {
    return text.len >= 2 and text[0] >= 0xC3 and text[0] <= 0xD4 and text[1] & 0xC0 == 0x80;
}

/// The first address that begins at or behind a place.
pub fn next(text: []const u8, from: usize) ?[2]usize {
    var least = from;
    while (std.mem.findScalarPos(u8, text, least, '@')) |sign| {
        const begin = beginOf(text, least, sign);
        if (begin < sign) {
            if (endOf(text, sign + 1)) |end| return .{ begin, end };
        }
        least = sign + 1;
    }
    return null;
}

/// Where what is before the @ begins; sign: there is nothing.
fn beginOf(text: []const u8, least: usize, sign: usize) usize {
    var begin = sign; // the leftmost character that an address may begin with
    var i = sign;
    while (i > least) {
        const c = text[i - 1];
        const n = letterBefore(text[least..], i - least);
        if (n > 0 or std.ascii.isDigit(c) or c == '_') {
            i -= @max(n, 1);
            begin = i;
        } else switch (c) {
            '!', '#', '$', '%', '\'', '*', '+', '-', '.', '^', '~' => i -= 1,
            else => break,
        }
    }
    return begin;
}

/// Where a domain ends that begins at i; null: there is none.
fn endOf(text: []const u8, from: usize) ?usize {
    var i = from;
    var labels: usize = 0;
    var end: ?usize = null;
    while (true) {
        const begin = i;
        var last = begin; // behind the last letter or digit of the label
        var chars: usize = 0; // up to there
        var passed: usize = 0;
        while (i < text.len) {
            const letter = letterAt(text, i);
            if (letter > 0 or std.ascii.isDigit(text[i])) {
                i += @max(letter, 1);
                passed += 1;
                last = i;
                chars = passed;
            } else if (text[i] == '-' and i > begin) {
                i += 1;
                passed += 1;
            } else break;
        }
        if (chars == 0) return end;
        labels += 1;
        if (labels >= 2 and chars >= 2 and letterAt(text, begin) > 0) end = last;
        if (last != i or i >= text.len or text[i] != '.') return end;
        i += 1;
    }
}

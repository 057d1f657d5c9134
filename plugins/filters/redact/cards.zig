//! Numbers of payment cards in text.
//!
//! A card number is 13 to 19 digits, with at most one space or one hyphen between
//! two of them, the same in all of the number. It begins as an issuer's numbers
//! do, has as many digits as that issuer's have, and its check digit (Luhn) is
//! right. It is no part of a word or of a decimal fraction.

const std = @import("std");
const isDigit = std.ascii.isDigit;
const digitFrom = @import("content.zig").digitFrom;

const Issuer = struct {
    /// The first digits, from and to; both have as many.
    from: u32,
    to: u32,
    lengths: []const u8,
};

const issuers = [_]Issuer{
    .{ .from = 4, .to = 4, .lengths = &.{ 13, 16, 19 } }, // Visa
    .{ .from = 51, .to = 55, .lengths = &.{16} }, // Mastercard
    .{ .from = 2221, .to = 2720, .lengths = &.{16} },
    .{ .from = 34, .to = 34, .lengths = &.{15} }, // American Express
    .{ .from = 37, .to = 37, .lengths = &.{15} },
    .{ .from = 6011, .to = 6011, .lengths = &.{ 16, 17, 18, 19 } }, // Discover
    .{ .from = 644, .to = 659, .lengths = &.{ 16, 17, 18, 19 } },
    .{ .from = 62, .to = 62, .lengths = &.{ 16, 17, 18, 19 } }, // UnionPay
    .{ .from = 3528, .to = 3589, .lengths = &.{ 16, 17, 18, 19 } }, // JCB
    .{ .from = 300, .to = 305, .lengths = &.{ 14, 16, 17, 18, 19 } }, // Diners Club
    .{ .from = 36, .to = 36, .lengths = &.{ 14, 15, 16, 17, 18, 19 } },
    .{ .from = 38, .to = 39, .lengths = &.{ 14, 16, 17, 18, 19 } },
    .{ .from = 2200, .to = 2204, .lengths = &.{ 16, 17, 18, 19 } }, // Mir
    .{ .from = 5018, .to = 5018, .lengths = &maestro }, // Maestro
    .{ .from = 5020, .to = 5020, .lengths = &maestro },
    .{ .from = 5038, .to = 5038, .lengths = &maestro },
    .{ .from = 5893, .to = 5893, .lengths = &maestro },
    .{ .from = 6304, .to = 6304, .lengths = &maestro },
    .{ .from = 6759, .to = 6763, .lengths = &maestro },
};
const maestro = [_]u8{ 13, 14, 15, 16, 17, 18, 19 };

/// By the first four digits, which numbers of digits there are: bit 0 is 13.
var by_prefix: [10_000]u8 = @splat(0);

/// Fills the table, which is too large to be part of the module.
pub fn prepare() void {
    for (issuers) |issuer| {
        const scale: u32 = if (issuer.from < 10) 1000 else if (issuer.from < 100) 100 else if (issuer.from < 1000) 10 else 1;
        var mask: u8 = 0;
        for (issuer.lengths) |n| mask |= @as(u8, 1) << @intCast(n - 13);
        for (by_prefix[issuer.from * scale .. (issuer.to + 1) * scale]) |*lengths| lengths.* |= mask;
    }
}

/// Digits with at most one separator between two of them, as far as they are
/// needed: the last 32, with running sums, so that a window's check digit is one
/// subtraction however many windows there are.
const Run = struct {
    first: usize = 0, // the digit that a window begins with
    len: usize = 0, // digits seen
    next: usize = 0, // where the run goes on in the text
    separator: u8 = 0,
    values: [size]u8 = undefined,
    ends: [size]usize = undefined, // behind the digit
    sums: [2][size]u32 = undefined, // before the digit; with every even digit doubled, or every odd one

    const size = 32;
    const longest = 19;

    fn begin(run: *Run, at: usize) void {
        run.* = .{ .next = at };
        run.sums[0][0] = 0;
        run.sums[1][0] = 0;
    }

    fn fill(run: *Run, text: []const u8) void {
        while (run.len < run.first + longest) {
            var i = run.next;
            if (i >= text.len) return;
            if (!isDigit(text[i])) {
                if (run.len == 0 or !isSeparator(text, i)) return;
                if (run.separator != 0 and run.separator != text[i]) return;
                run.separator = text[i];
                i += 1;
            }
            const d = text[i] - '0';
            const doubled: u32 = if (d < 5) d * 2 else d * 2 - 9;
            const at = run.len % size;
            const then = (run.len + 1) % size;
            run.values[at] = d;
            run.ends[at] = i + 1;
            for (&run.sums, 0..) |*sums, odd| sums[then] = sums[at] + (if (run.len & 1 == odd) doubled else d);
            run.len += 1;
            run.next = i + 1;
        }
    }

    /// Where the longest card number ends that begins with the first digit.
    fn card(run: *const Run, text: []const u8) ?usize {
        if (run.len < run.first + 13) return null;
        var prefix: usize = 0;
        for (0..4) |i| prefix = prefix * 10 + run.values[(run.first + i) % size];
        const lengths = by_prefix[prefix];
        if (lengths == 0) return null;
        var n: usize = @min(longest, run.len - run.first);
        while (n >= 13) : (n -= 1) {
            if (lengths >> @intCast(n - 13) & 1 == 0) continue;
            // Of an even number of digits the first is doubled.
            const sums = &run.sums[(run.first + n) & 1];
            if ((sums[(run.first + n) % size] -% sums[run.first % size]) % 10 != 0) continue;
            const end = run.ends[(run.first + n - 1) % size];
            if (mayEnd(text, end)) return end;
        }
        return null;
    }
};

/// Finds the card numbers of a text, from left to right.
pub const Search = struct {
    text: []const u8,
    at: usize = 0,
    run: Run = .{},
    running: bool = false, // the run has the digit at `at`, as its first

    pub fn next(s: *Search) ?[2]usize {
        const text = s.text;
        while (true) {
            if (!s.running) s.at = digitFrom(text, s.at);
            const begin = s.at;
            if (begin == text.len) return null;
            var end = begin; // of the group
            while (end < text.len and isDigit(text[end])) end += 1;
            const more = isSeparator(text, end);
            if (s.running and more and s.run.separator != 0 and s.run.separator != text[end]) s.running = false;
            if (!s.running) s.run.begin(begin);
            if (mayBegin(text, begin)) {
                s.run.fill(text);
                if (s.run.card(text)) |behind| {
                    s.at = behind;
                    s.running = false;
                    return .{ begin, behind };
                }
            }
            s.run.first += end - begin;
            s.running = more and s.run.first < s.run.len;
            s.at = if (more) end + 1 else end;
        }
    }
};

/// Whether there is a separator, and a digit behind it.
fn isSeparator(text: []const u8, i: usize) bool {
    return i + 1 < text.len and (text[i] == ' ' or text[i] == '-') and isDigit(text[i + 1]);
}

fn isWord(c: u8) bool {
    return std.ascii.isAlphanumeric(c) or c == '_';
}
/// Whether i stands behind a digit and a point or comma, as a fraction does.
fn mayBegin(text: []const u8, i: usize) bool {
    if (i == 0) return true;
    const before = text[i - 1];
    if (isWord(before)) return false;
    return !((before == '.' or before == ',') and i > 1 and isDigit(text[i - 2]));
}
fn mayEnd(text: []const u8, end: usize) bool {
    if (end == text.len) return true;
    if (isWord(text[end])) return false;
    return !((text[end] == '.' or text[end] == ',') and end + 1 < text.len and isDigit(text[end + 1]));
}

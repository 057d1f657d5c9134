//! Room patterns, as they are in grants and in the node's own configuration:
//! `*` stands for any run of bytes without ':', `**` for any run.

const std = @import("std");

pub const max_pattern = 1024; // bytes

/// What is wrong with a pattern of a configuration, to be said behind its name;
/// null if nothing is. `matches` is for patterns without a fault.
pub fn fault(pattern: []const u8) ?[]const u8 {
    if (pattern.len == 0 or pattern.len > max_pattern) return "has to be a room pattern, a string of 1 to 1024 bytes";
    if (std.mem.find(u8, pattern, "***") != null) return "has three stars in a row: * is any run without a colon, ** any run";
    return null;
}

/// Whether a pattern has `**` in it, and so may match rooms of any depth.
pub fn isDeep(pattern: []const u8) bool {
    return std.mem.find(u8, pattern, "**") != null;
}

/// Where a star is that may take one byte more: behind it in the pattern, and
/// the end of its run in the name.
const Star = struct { next: usize, end: usize };

/// Whether the pattern matches the whole name. At a mismatch the last `*` takes
/// one byte more, and where that is a ':' the last `**` does. Earlier stars need
/// not be tried again, so the work is bounded by the product of the lengths.
pub fn matches(pattern: []const u8, name: []const u8) bool {
    var p: usize = 0;
    var n: usize = 0;
    var shallow: ?Star = null; // the last * since the last **
    var deep: ?Star = null;
    while (p < pattern.len or n < name.len) {
        if (p < pattern.len and pattern[p] == '*') {
            if (p + 1 < pattern.len and pattern[p + 1] == '*') {
                p += 2;
                deep = .{ .next = p, .end = n };
                shallow = null;
            } else {
                p += 1;
                shallow = .{ .next = p, .end = n };
            }
        } else if (p < pattern.len and n < name.len and pattern[p] == name[n]) {
            p += 1;
            n += 1;
        } else {
            const star = widen(&shallow, &deep, name) orelse return false;
            p = star.next;
            n = star.end;
        }
    }
    return true;
}

/// Lets the star that comes next take one byte more.
fn widen(shallow: *?Star, deep: *?Star, name: []const u8) ?Star {
    if (shallow.*) |*star| {
        if (star.end < name.len and name[star.end] != ':') {
            star.end += 1;
            return star.*;
        }
        if (star.end == name.len) return null; // a ** that began later would only see less
        shallow.* = null;
        if (deep.*) |*d| {
            // What follows the ** has a fixed number of colons: it can only fit
            // where the first of them is another one.
            while (name[d.end] != ':') d.end += 1;
        }
    }
    if (deep.*) |*star| {
        if (star.end == name.len) return null;
        star.end += 1;
        return star.*;
    }
    return null;
}

test "a star stands for a run without a colon, two for any run" {
    const cases = .{
        .{ "chat:*", "chat:a", true },    .{ "chat:*", "chat:", true },      .{ "chat:*", "chat:a:b", false },
        .{ "chat:**", "chat:a:b", true }, .{ "*", "", true },                .{ "*", ":", false },
        .{ "**", "a:b", true },           .{ "a*b*c", "abbc", true },        .{ "**:*x", "a:b:xx", true },
        .{ "*a**b*", "xaabyb", true },    .{ "**a*b", "a:ab", true },        .{ "*:*:**", "::", true },
        .{ "*:log", "a:b:log", false },   .{ "lobby", "lobby", true },       .{ "lobby", "lobb", false },
        .{ "lobby", "lobbyx", false },    .{ "**a*:b*c", "aa:a:bbc", true }, .{ "**b*c", "b:bc", true },
    };
    inline for (cases) |c| try std.testing.expectEqual(c[2], matches(c[0], c[1]));
}

test "a pattern's fault is named" {
    try std.testing.expect(fault("chat:**") == null);
    try std.testing.expect(std.mem.startsWith(u8, fault("a***").?, "has three stars in a row"));
    try std.testing.expect(fault("") != null and fault(&@as([1025]u8, @splat('x'))) != null);
    try std.testing.expect(isDeep("a**") and !isDeep("a*b*"));
}

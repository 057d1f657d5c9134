//! Composing text, such as a reason with a number in it.

const std = @import("std");

/// Text in storage of fixed size. What does not fit is left out, at the boundary
/// of a UTF-8 character, and with it all that follows.
pub const Text = struct {
    storage: []u8,
    len: usize = 0,
    full: bool = false,

    pub fn in(storage: []u8) Text {
        return .{ .storage = storage };
    }

    pub fn bytes(t: *const Text) []u8 {
        return t.storage[0..t.len];
    }

    pub fn add(t: *Text, s: []const u8) void {
        if (t.full) return;
        var n = s.len;
        if (n > t.storage.len - t.len) {
            n = t.storage.len - t.len;
            while (n > 0 and s[n] & 0xC0 == 0x80) n -= 1;
            t.full = true;
        }
        @memcpy(t.storage[t.len..][0..n], s[0..n]);
        t.len += n;
    }

    pub fn addByte(t: *Text, c: u8) void {
        t.add(&.{c});
    }

    pub fn addInt(t: *Text, v: i64) void {
        var digits: [20]u8 = undefined;
        var at: usize = digits.len;
        var u: u64 = @abs(v);
        while (true) {
            at -= 1;
            digits[at] = '0' + @as(u8, @intCast(u % 10));
            u /= 10;
            if (u == 0) break;
        }
        if (v < 0) {
            at -= 1;
            digits[at] = '-';
        }
        t.add(digits[at..]);
    }

    /// Adds a JSON string that holds s, quotes included.
    pub fn addQuoted(t: *Text, s: []const u8) void {
        t.addByte('"');
        t.addEscaped(s);
        t.addByte('"');
    }

    /// Adds s as it stands within a JSON string.
    pub fn addEscaped(t: *Text, s: []const u8) void {
        const hex = "0123456789abcdef";
        var from: usize = 0;
        for (s, 0..) |c, i| {
            if (c >= ' ' and c != '"' and c != '\\') continue;
            t.add(s[from..i]);
            from = i + 1;
            switch (c) {
                '"' => t.add("\\\""),
                '\\' => t.add("\\\\"),
                '\n' => t.add("\\n"),
                '\r' => t.add("\\r"),
                '\t' => t.add("\\t"),
                else => t.add(&.{ '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] }),
            }
        }
        t.add(s[from..]);
    }
};

test "text is composed of strings and numbers" {
    var storage: [64]u8 = undefined;
    var t: Text = .in(&storage);
    t.add("n=");
    t.addInt(std.math.minInt(i64));
    t.addByte(' ');
    t.addInt(0);
    try std.testing.expectEqualStrings("n=-9223372036854775808 0", t.bytes());
}

test "what does not fit is left out at the boundary of a character" {
    var storage: [4]u8 = undefined;
    var t: Text = .in(&storage);
    t.add("abc");
    t.add("\u{e9}x");
    t.add("y");
    try std.testing.expectEqualStrings("abc", t.bytes());
}

test "quoted text is a JSON string" {
    var storage: [64]u8 = undefined;
    var t: Text = .in(&storage);
    t.addQuoted("a\"\\\n\x01é");
    try std.testing.expectEqualStrings("\"a\\\"\\\\\\n\\u0001é\"", t.bytes());
}

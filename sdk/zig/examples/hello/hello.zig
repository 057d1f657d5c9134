//! hello: refuses a word, and numbers the messages of each connection.
//!
//! Configuration: {"word": "..."}, up to 63 bytes.

const std = @import("std");
const sluice = @import("sluice");

pub const panic = sluice.panic;
comptime {
    sluice.exportHooks(@This());
}

const Config = struct {
    word: []const u8 = "",

    pub const bounds = .{ .word = .{ 0, 63 } };
};

var config: Config = .{};
var texts: [64]u8 = undefined; // what config points into

pub fn onConfigure(e: *sluice.Event) sluice.Verdict {
    var fault: sluice.config.Fault = .{};
    config = sluice.config.read(Config, e.payload(), &texts, &fault) catch return .deny(.invalid, switch (fault.kind) {
        .not_an_object => "the configuration has to be an object",
        .unknown_key => "unknown key: only word is known",
        .not_json => "the configuration is not JSON",
        else => "word has to be a string of up to 63 bytes",
    });
    if (config.word.len == 0) return .deny(.invalid, "word is missing");
    return .proceed;
}

var count: u32 = 0; // outputs are read after the hook has returned,
var stamped: [8192]u8 = undefined; // so they are global, never local

fn contains(content: []const u8, word: []const u8) bool {
    if (content.len < word.len) return false;
    for (content[0 .. content.len - word.len + 1], 0..) |first, i| {
        if (first != word[0]) continue;
        var n: usize = 1;
        while (n < word.len and content[i + n] == word[n]) n += 1;
        if (n == word.len) return true;
    }
    return false;
}

pub fn onMessage(e: *sluice.Event) sluice.Verdict {
    const content = e.payload();
    if (contains(content, config.word)) {
        sluice.log(.info, "refused a message");
        return .deny(.invalid, "that word is not welcome here");
    }
    const state = e.state();
    count = if (state.len == 4) std.mem.readInt(u32, state[0..4], .little) else 0;
    count +%= 1;
    e.setState(std.mem.asBytes(&count));

    if (content.len > stamped.len - 32) return .deny(.too_large, "too long to be stamped");
    var t: sluice.Text = .in(&stamped);
    t.add("{\"n\":");
    t.addInt(count);
    t.add(",\"content\":");
    t.add(content);
    t.add("}");
    return .rewrite(t.bytes());
}

// Unit tests of the logic: zig test --dep sluice -Mroot=hello.zig -Msluice=../../sluice.zig

const testing = sluice.testing;

fn configure(text: []const u8) sluice.Verdict {
    return onConfigure(testing.event(.configure, .{ .payload = text }));
}

test "a configuration without a usable word is refused" {
    testing.reset();
    const long = "{\"word\":\"" ++ &@as([64]u8, @splat('x')) ++ "\"}";
    inline for (.{
        .{ "[]", "the configuration has to be an object" },
        .{ "{\"wrod\":\"x\"}", "unknown key: only word is known" },
        .{ "{\"word\":7}", "word has to be a string of up to 63 bytes" },
        .{ long, "word has to be a string of up to 63 bytes" },
        .{ "{}", "word is missing" },
        .{ "{\"word\":\"\"}", "word is missing" },
    }) |c| {
        const v = configure(c[0]);
        try std.testing.expectEqual(.deny, v.action);
        try std.testing.expectEqualStrings(c[1], v.reason);
    }
    try std.testing.expectEqual(.proceed, configure(" { \"word\" : \"sp\\u0061m\" } ").action);
}

test "the word is refused with a reason, and logged" {
    testing.reset();
    _ = configure("{\"word\":\"spam\"}");
    const v = onMessage(testing.event(.message, .{ .payload = "\"buy spam now\"" }));
    try std.testing.expectEqual(.deny, v.action);
    try std.testing.expectEqual(422, v.code);
    try std.testing.expectEqualStrings("that word is not welcome here", v.reason);
    try std.testing.expectEqualStrings("refused a message", testing.logged()[0]);
}

test "other content is stamped with a number that goes on from the state" {
    testing.reset();
    _ = configure("{\"word\":\"spam\"}");
    const first = testing.event(.message, .{ .payload = "\"hi\"" });
    try std.testing.expectEqualStrings("{\"n\":1,\"content\":\"hi\"}", onMessage(first).payload.?);
    const next = testing.event(.message, .{ .payload = "\"hi\"", .state = testing.newState(first).? });
    try std.testing.expectEqualStrings("{\"n\":2,\"content\":\"hi\"}", onMessage(next).payload.?);
}

test "content that does not fit is refused" {
    testing.reset();
    _ = configure("{\"word\":\"spam\"}");
    const bytes: [8161]u8 = @splat('1');
    try std.testing.expect(onMessage(testing.event(.message, .{ .payload = bytes[0..8160] })).payload != null);
    try std.testing.expectEqual(413, onMessage(testing.event(.message, .{ .payload = &bytes })).code);
}

//! What the stand-in for the host promises, by way of the functions that filters call.

const std = @import("std");
const sluice = @import("sluice.zig");
const t = sluice.testing;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;

test "an event shows what it was made of" {
    t.reset();
    const e = t.event(.connect, .{
        .kind = 2,
        .payload = "token",
        .meta = &.{ .{ .kind = .header, .name = "a", .value = "1" }, .{ .kind = .query, .name = "a", .value = "2" } },
        .lookup = .{ .found = "{}" },
    });
    try expectEqual(.refresh, e.kind());
    try std.testing.expectEqualStrings("token", e.payload());
    try std.testing.expectEqualStrings("2", e.metaFind(.query, "a").?);
    try expect(e.metaFind(.cookie, "a") == null);
    try std.testing.expectEqualStrings("{}", e.lookup().found);
    try expectEqual(.missed, t.event(.message, .{ .lookup = .missed }).lookup());
    try expectEqual(.failed, t.event(.message, .{ .lookup = .failed }).lookup());
    try expectEqual(.none, t.event(.message, .{}).lookup());
}

test "a verdict fills the outputs of its hook" {
    t.reset();
    const denied = t.event(.message, .{});
    try expectEqual(2, sluice.Verdict.denyFor(.own(1234), 1500, "no").give(denied));
    try expect(denied.raw.out_code == 1234 and denied.raw.out_retry_ms == 1500);
    try std.testing.expectEqualStrings("no", denied.raw.out_reason.bytes());
    const cleared = t.event(.message, .{});
    cleared.setState("");
    try expect(t.newState(cleared).?.len == 0);
    const known = t.event(.connect, .{});
    try expectEqual(0, sluice.Verdict.identity(.{ .user = "ann", .expires_ms = 5 }).give(known));
    try std.testing.expectEqualStrings("ann", known.raw.out_user.bytes());
    try expect(known.raw.out_expires_ms == 5 and known.raw.out_claims.ptr == 0);
}

test "a counter starts anew when its window has passed" {
    t.reset();
    try expectEqual(2, try sluice.counterAdd("k", 2, 1000));
    try expectEqual(3, try sluice.counterAdd("k", 1, 1000));
    try expectEqual(3, try sluice.counterAdd("k", 0, 1000));
    t.now_ns += std.time.ns_per_s;
    try expectEqual(0, try sluice.counterAdd("k", 0, 1000));
    try expectEqual(1, try sluice.counterAdd("k", 1, 1000));
    try expectEqual(0, try sluice.counterAdd("k", -5, 1000));
    try std.testing.expectError(error.BadArgument, sluice.counterAdd("", 1, 0));
}

test "a bucket says how long to wait, and refills" {
    t.reset();
    try expectEqual(.taken, try sluice.bucketTake("b", 2, 2, 2));
    try expectEqual(500, (try sluice.bucketTake("b", 1, 2, 2)).wait_ms);
    t.now_ns += 500 * std.time.ns_per_ms;
    try expectEqual(.taken, try sluice.bucketTake("b", 1, 2, 2));
    try std.testing.expectError(error.BadArgument, sluice.bucketTake("b", 3, 2, 2));
}

test "values expire" {
    t.reset();
    var storage: [4]u8 = undefined;
    try expect(try sluice.kvGet("k", &storage) == null);
    try sluice.kvSet("k", "abc", 10);
    try std.testing.expectEqualStrings("abc", (try sluice.kvGet("k", &storage)).?);
    try std.testing.expectError(error.NoSpaceLeft, sluice.kvGet("k", storage[0..2]));
    t.now_ns += 10 * std.time.ns_per_ms;
    try expect(try sluice.kvGet("k", &storage) == null);
    try sluice.kvSet("k", "abc", 0);
    try sluice.kvDelete("k");
    try expect(try sluice.kvGet("k", &storage) == null);
}

test "random bytes are the same in every run, metrics and lines are kept" {
    t.reset();
    var a: [8]u8 = undefined;
    var b: [8]u8 = undefined;
    try sluice.random(&a);
    t.reset();
    try sluice.random(&b);
    try std.testing.expectEqualSlices(u8, &a, &b);
    try sluice.metricAdd("seen", 2);
    try sluice.metricAdd("seen", 1);
    try expectEqual(3, t.metric("seen"));
    try std.testing.expectError(error.BadArgument, sluice.metricAdd("Seen", 1));
    sluice.log(.warn, "line");
    try std.testing.expectEqualStrings("line", t.logged()[0]);
}

test "verify asks the test's keys" {
    t.reset();
    try std.testing.expectError(error.Unsupported, sluice.verify("HS256", "", "m", "s"));
    t.verifier = struct {
        fn ask(_: []const u8, _: []const u8, message: []const u8, signature: []const u8) bool {
            return std.mem.eql(u8, message, signature);
        }
    }.ask;
    try expect(try sluice.verify("HS256", "", "m", "m"));
    try expect(!try sluice.verify("HS256", "", "m", "x"));
    try std.testing.expectError(error.BadArgument, sluice.verify("", "", "m", "m"));
}

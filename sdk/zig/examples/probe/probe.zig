//! probe: tells all that it sees of an event, and answers in every way there
//! is. Each SDK has the same filter; sdk/conformance compares them.

const std = @import("std");
const sluice = @import("sluice");
const Event = sluice.Event;
const Verdict = sluice.Verdict;

pub const panic = sluice.panic;
pub const state_version = 7;
comptime {
    sluice.exportHooks(@This());
}

var storage: [65536]u8 = undefined;
var out: sluice.Text = undefined;

fn begin() void {
    out = .in(&storage);
}
fn add(s: []const u8) void {
    out.add(s);
}
fn addQuoted(s: []const u8) void {
    add(",\"");
    add(s);
    add("\"");
}
fn addInt(v: i64) void {
    add(",");
    out.addInt(v);
}

pub fn onConnect(e: *Event) Verdict {
    const user = if (e.kind() == .refresh) e.payload() else e.metaFind(.header, "x-user");
    begin();
    add("{\"path\":\"");
    add(e.metaFind(.attribute, "path") orelse "");
    add("\",\"cookie\":\"");
    add(e.metaFind(.cookie, "s") orelse "");
    add("\",\"remote\":\"");
    add(e.remote());
    add("\"}");
    const claims = out.bytes();
    var info: sluice.Text = .in(storage[claims.len..]);
    info.add("\"");
    info.add(e.metaFind(.query, "name") orelse "");
    info.add("\"");
    return .identity(.{
        .user = user orelse return .denyFor(.unauthorized, 1500, "who are you?"),
        .info = info.bytes(),
        .claims = claims,
        .grants = "[{\"rooms\":\"chat:*\",\"allow\":[\"join\",\"send\"]},{\"allow\":[\"direct\"]}]",
        .expires_ms = @divFloor(e.timeNs(), std.time.ns_per_ms) + 60000,
    });
}

pub fn onJoin(e: *Event) Verdict {
    if (std.mem.eql(u8, e.room(), "closed")) return .deny(.forbidden, "closed");
    return .proceed;
}

fn tell(e: *Event) Verdict {
    begin();
    add("[");
    out.addInt(@backingInt(e.hook()));
    addInt(e.raw.kind);
    addInt(e.raw.flags);
    addInt(e.timeNs());
    addInt(@bitCast(e.conn()));
    addInt(@bitCast(e.seq()));
    add(",");
    add(e.payload());
    addQuoted(e.room());
    addQuoted(e.user());
    addQuoted(e.target());
    add(",");
    add(e.claims());
    addQuoted(e.state());
    addInt(e.stateVersion());
    addQuoted(e.remote());
    addInt(e.expiresMs());
    add("]");
    return .rewrite(out.bytes());
}

fn number(v: i64) Verdict {
    begin();
    out.addInt(v);
    return .rewrite(out.bytes());
}

fn randomBytes() sluice.HostError!i64 {
    var bytes: [16]u8 = undefined;
    try sluice.random(&bytes);
    var set: i64 = 0;
    for (bytes) |b| set += @intFromBool(b != 0);
    return set;
}

fn take() sluice.HostError!i64 {
    return switch (try sluice.bucketTake("b", 1, 2, 1)) {
        .taken => 0,
        .wait_ms => |ms| ms,
    };
}

fn zero(result: sluice.HostError!void) i64 {
    result catch |err| return sluice.errorCode(err);
    return 0;
}

fn kept() !Verdict {
    var value: [1024]u8 = undefined;
    const found = try sluice.kvGet("k", &value) orelse return .rewrite("null");
    begin();
    out.addQuoted(found);
    return .rewrite(out.bytes());
}

fn lookup(e: *Event) Verdict {
    begin();
    add("[");
    const found = e.lookup();
    out.addInt(@backingInt(found));
    add(",");
    add(if (found == .found) found.found else "null");
    add("]");
    return .rewrite(out.bytes());
}

const Command = enum { allow, deny, drop, close, fail, reroute, forget, random, now, counter, bucket, metric, set, get, lookup };

pub fn onMessage(e: *Event) !Verdict {
    e.setState("kept");
    const word = std.mem.trim(u8, e.payload(), "\"");
    const command = std.meta.stringToEnum(Command, if (word.len + 2 == e.payload().len) word else "") orelse return tell(e);
    switch (command) {
        .allow => return .allow,
        .deny => return .deny(.own(1234), "no"),
        .drop => return .drop,
        .close => return .disconnect(4003, "bye"),
        .fail => return .fail,
        .reroute => return .reroute("other"),
        .forget => {
            e.setState("");
            return .proceed;
        },
        .random => return number(try randomBytes()),
        .now => return number(sluice.now()),
        .counter => return number(sluice.counterAdd("c", 1, 60000) catch |err| sluice.errorCode(err)),
        .bucket => return number(take() catch |err| sluice.errorCode(err)),
        .metric => return number(zero(sluice.metricAdd("probed", 2))),
        .set => return number(zero(sluice.kvSet("k", "v", 0))),
        .get => return kept(),
        .lookup => return lookup(e),
    }
}

fn logEnd(e: *Event, what: []const u8) Verdict {
    begin();
    add(what);
    add(" ");
    add(e.room());
    addInt(e.closeCode());
    sluice.log(.warn, out.bytes());
    return .proceed;
}

pub fn onLeave(e: *Event) Verdict {
    return logEnd(e, "left");
}
pub fn onDisconnect(e: *Event) Verdict {
    return logEnd(e, "gone");
}

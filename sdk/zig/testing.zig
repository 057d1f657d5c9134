//! Stands in for the host in `zig test`: makes events, and answers the
//! capabilities. Each test begins with `reset`.
//!
//!     test "the word is refused" {
//!         sluice.testing.reset();
//!         const v = onMessage(sluice.testing.event(.message, .{ .payload = "\"spam\"" }));
//!         try std.testing.expectEqual(.deny, v.action);
//!     }

const std = @import("std");
const Span = @import("event.zig").Span;
const Event = @import("event.zig").Event;
const Hook = @import("event.zig").Hook;
const Lookup = @import("event.zig").Lookup;
const Meta = @import("event.zig").Meta;

/// What the clock says, Unix nanoseconds; also `time_ns` of events. Windows,
/// buckets and expiry go by it.
pub var now_ns: i64 = 0;
/// What verify asks; null: the filter has no keys.
pub var verifier: ?*const fn (alg: []const u8, kid: []const u8, message: []const u8, signature: []const u8) bool = null;

var memory: [4 << 20]u8 align(8) = undefined; // spans are offsets into it
var used: u32 = 8;
var arena: std.heap.ArenaAllocator = .init(std.heap.page_allocator);
var lines: std.ArrayList([]const u8) = .empty;
var written: std.ArrayList(u8) = .empty;
var metrics: std.StringHashMapUnmanaged(i64) = .empty;
var counters: std.StringHashMapUnmanaged(Counter) = .empty;
var buckets: std.StringHashMapUnmanaged(Bucket) = .empty;
var values: std.StringHashMapUnmanaged(Value) = .empty;
var xorshift: u64 = 88172645463325252; // the same in every run

const Counter = struct { n: i64, ends_ms: i64 };
const Bucket = struct { millitokens: i64, at_ms: i64 };
const Value = struct { bytes: []const u8, ends_ms: i64 };

/// Forgets all events, logged lines, counters, buckets, values and metrics.
pub fn reset() void {
    _ = arena.reset(.free_all);
    used = 8;
    now_ns = 1_767_323_045 * std.time.ns_per_s;
    verifier = null;
    lines = .empty;
    written = .empty;
    metrics = .empty;
    counters = .empty;
    buckets = .empty;
    values = .empty;
    xorshift = 88172645463325252;
}

/// The lines that were logged.
pub fn logged() []const []const u8 {
    return lines.items;
}
/// The sum of what metricAdd added to a name.
pub fn metric(name: []const u8) i64 {
    return metrics.get(name) orelse 0;
}

/// What an event is made of.
pub const Fields = struct {
    kind: u32 = 1,
    from_server: bool = false,
    conn: u64 = 1,
    seq: u64 = 1,
    payload: []const u8 = "",
    room: []const u8 = "room",
    user: []const u8 = "user",
    target: []const u8 = "",
    claims: []const u8 = "",
    state: []const u8 = "",
    state_version: u32 = 0,
    cause: u32 = 0,
    meta: []const Meta = &.{},
    lookup: Lookup = .none,
    remote: []const u8 = "192.0.2.1",
    expires_ms: i64 = 0,
};

/// An event, which lives until `reset`.
pub fn event(hook: Hook, f: Fields) *Event {
    const e = gpa().create(Event) catch unreachable;
    const status: u32 = @backingInt(f.lookup);
    e.* = .{ .raw = .{
        .size = @sizeOf(Event),
        .hook = hook,
        .kind = if (hook == .message or hook == .connect) f.kind else 0,
        .flags = @intFromBool(f.from_server) | status << 1,
        .time_ns = now_ns,
        .conn = f.conn,
        .seq = f.seq,
        .payload = put(f.payload),
        .room = put(f.room),
        .user = put(f.user),
        .target = put(f.target),
        .claims = put(f.claims),
        .state = put(f.state),
        .state_version = f.state_version,
        .cause = f.cause,
        .meta = .{ .ptr = reserve(f.meta.len * @sizeOf(Meta.Raw)), .len = @intCast(f.meta.len) },
        .lookup = put(if (f.lookup == .found) f.lookup.found else ""),
        .remote = put(f.remote),
        .expires_ms = f.expires_ms,
    } };
    const raws: [*]Meta.Raw = @ptrCast(@alignCast(&memory[e.raw.meta.ptr]));
    for (f.meta, raws) |m, *raw| raw.* = .{ .kind = m.kind, .name = put(m.name), .value = put(m.value) };
    return e;
}

/// What the filter set as state; null: nothing.
pub fn newState(e: *const Event) ?[]const u8 {
    return if (e.raw.out_state.ptr == 0) null else e.raw.out_state.bytes();
}

fn gpa() std.mem.Allocator {
    return arena.allocator();
}
fn keep(s: []const u8) []const u8 {
    return gpa().dupe(u8, s) catch unreachable;
}
fn nowMs() i64 {
    return @divFloor(now_ns, std.time.ns_per_ms);
}

pub fn view(s: Span) []u8 {
    return memory[s.ptr..][0..s.len];
}
pub fn put(bytes: []const u8) Span {
    const at = reserve(bytes.len);
    @memcpy(memory[at..][0..bytes.len], bytes);
    memory[at + bytes.len] = 0;
    return .{ .ptr = at, .len = @intCast(bytes.len) };
}
fn reserve(n: usize) u32 {
    const at = used;
    if (n >= memory.len - at - 8) @panic("the events take more than the 4 MiB of a native test: call reset");
    used = @intCast((at + n + 8) & ~@as(usize, 7));
    return at;
}

/// The host's functions, as the module `sluice` has them.
pub const imports = struct {
    pub fn log(_: i32, ptr: [*]const u8, len: usize) void {
        lines.append(gpa(), keep(ptr[0..@min(len, 1024)])) catch unreachable;
    }
    pub fn now() i64 {
        return now_ns;
    }
    pub fn random(ptr: [*]u8, len: usize) i32 {
        if (len > 65536) return -1;
        for (ptr[0..len]) |*b| {
            xorshift ^= xorshift << 13;
            xorshift ^= xorshift >> 7;
            xorshift ^= xorshift << 17;
            b.* = @truncate(xorshift);
        }
        return 0;
    }
    pub fn verify(alg: [*]const u8, alg_len: usize, kid: [*]const u8, kid_len: usize, message: [*]const u8, message_len: usize, signature: [*]const u8, signature_len: usize) i32 {
        const ask = verifier orelse return -2;
        if (alg_len == 0) return -1;
        return @intFromBool(ask(alg[0..alg_len], kid[0..kid_len], message[0..message_len], signature[0..signature_len]));
    }
    pub fn metric_add(name: [*]const u8, name_len: usize, delta: i64) i32 {
        if (name_len == 0 or name_len > 64 or delta < 0 or std.ascii.isDigit(name[0])) return -1;
        for (name[0..name_len]) |c| if (!std.ascii.isLower(c) and !std.ascii.isDigit(c) and c != '_') return -1;
        const entry = metrics.getOrPutValue(gpa(), keep(name[0..name_len]), 0) catch unreachable;
        entry.value_ptr.* +|= delta;
        return 0;
    }
    pub fn counter_add(key: [*]const u8, key_len: usize, delta: i64, window_ms: i64) i64 {
        if (key_len == 0 or key_len > 255 or window_ms < 0) return -1;
        const ends_ms = if (window_ms == 0) std.math.maxInt(i64) else nowMs() +| window_ms;
        if (delta == 0) {
            const c = counters.get(key[0..key_len]) orelse return 0;
            return if (c.ends_ms > nowMs()) c.n else 0;
        }
        const entry = counters.getOrPutValue(gpa(), keep(key[0..key_len]), .{ .n = 0, .ends_ms = ends_ms }) catch unreachable;
        const c = entry.value_ptr;
        if (c.ends_ms <= nowMs()) c.* = .{ .n = 0, .ends_ms = ends_ms };
        c.n = @max(0, c.n +| delta);
        return c.n;
    }
    pub fn bucket_take(key: [*]const u8, key_len: usize, tokens: i64, burst: i64, refill_per_s: i64) i64 {
        if (key_len == 0 or key_len > 255 or burst < 1 or tokens < 0 or tokens > burst or refill_per_s < 0) return -1;
        const entry = buckets.getOrPutValue(gpa(), keep(key[0..key_len]), .{ .millitokens = burst *| 1000, .at_ms = nowMs() }) catch unreachable;
        const b = entry.value_ptr;
        b.millitokens = @min(burst *| 1000, b.millitokens +| (nowMs() - b.at_ms) *| refill_per_s);
        b.at_ms = nowMs();
        const lacking = tokens *| 1000 - b.millitokens;
        if (lacking > 0) return if (refill_per_s == 0) std.math.maxInt(i64) else @divFloor(lacking - 1, refill_per_s) + 1;
        b.millitokens -= tokens *| 1000;
        return 0;
    }
    pub fn kv_get(key: [*]const u8, key_len: usize, out: [*]u8, out_cap: usize) i32 {
        if (key_len == 0 or key_len > 255) return -1;
        const v = values.get(key[0..key_len]) orelse return -3;
        if (v.ends_ms <= nowMs()) return -3;
        if (v.bytes.len <= out_cap) @memcpy(out[0..v.bytes.len], v.bytes);
        return @intCast(v.bytes.len);
    }
    pub fn kv_set(key: [*]const u8, key_len: usize, value: [*]const u8, value_len: usize, ttl_ms: i64) i32 {
        if (key_len == 0 or key_len > 255) return -1;
        if (ttl_ms < 0) {
            _ = values.remove(key[0..key_len]);
            return 0;
        }
        const ends_ms = if (ttl_ms == 0) std.math.maxInt(i64) else nowMs() +| ttl_ms;
        values.put(gpa(), keep(key[0..key_len]), .{ .bytes = keep(value[0..value_len]), .ends_ms = ends_ms }) catch unreachable;
        return 0;
    }
    pub fn fd_write(_: i32, vectors: *const [2]usize, _: usize, count: *usize) i32 {
        const line = @as([*]const u8, @ptrFromInt(vectors[0]))[0..vectors[1]];
        written.appendSlice(gpa(), line) catch unreachable;
        count.* = line.len;
        return 0;
    }
};

//! Capabilities: what a filter may ask of the node. A module imports those that
//! it calls and no others, and its configuration has to grant them.

const builtin = @import("builtin");
const wasm = builtin.cpu.arch.isWasm();

/// The functions of the module `sluice`, or what stands in for them in tests.
const imports = if (wasm) struct {
    extern "sluice" fn log(level: i32, ptr: [*]const u8, len: usize) void;
    extern "sluice" fn now() i64;
    extern "sluice" fn random(ptr: [*]u8, len: usize) i32;
    extern "sluice" fn verify(alg: [*]const u8, alg_len: usize, kid: [*]const u8, kid_len: usize, message: [*]const u8, message_len: usize, signature: [*]const u8, signature_len: usize) i32;
    extern "sluice" fn metric_add(name: [*]const u8, name_len: usize, delta: i64) i32;
    extern "sluice" fn counter_add(key: [*]const u8, key_len: usize, delta: i64, window_ms: i64) i64;
    extern "sluice" fn bucket_take(key: [*]const u8, key_len: usize, tokens: i64, burst: i64, refill_per_s: i64) i64;
    extern "sluice" fn kv_get(key: [*]const u8, key_len: usize, out: [*]u8, out_cap: usize) i32;
    extern "sluice" fn kv_set(key: [*]const u8, key_len: usize, value: [*]const u8, value_len: usize, ttl_ms: i64) i32;
    extern "wasi_snapshot_preview1" fn fd_write(fd: i32, vectors: *const [2]usize, count: usize, written: *usize) i32;
} else @import("testing.zig").imports;

pub const HostError = error{
    /// An argument is out of range.
    BadArgument,
    /// The node is older than the function.
    Unsupported,
    /// The filter's quota is used up.
    OverQuota,
    /// The node cannot say at the moment.
    Unavailable,
};

fn failure(result: i64) HostError {
    return switch (result) {
        -1 => error.BadArgument,
        -4 => error.OverQuota,
        -5 => error.Unavailable,
        else => error.Unsupported,
    };
}

/// The number that the ABI has for an error.
pub fn errorCode(err: HostError) i64 {
    return switch (err) {
        error.BadArgument => -1,
        error.Unsupported => -2,
        error.OverQuota => -4,
        error.Unavailable => -5,
    };
}

pub const Level = enum(i32) { debug, info, warn, err };

/// A line for the node's log, cut to 1 KiB. Capability `log`.
pub fn log(level: Level, line: []const u8) void {
    imports.log(@backingInt(level), line.ptr, line.len);
}

/// This moment, Unix nanoseconds. Capability `now`; the event's own time needs none.
pub fn now() i64 {
    return imports.now();
}

/// Fills bytes, at most 64 KiB, with random ones that are fit for keys. Capability `random`.
pub fn random(out: []u8) HostError!void {
    const result = imports.random(out.ptr, out.len);
    if (result != 0) return failure(result);
}

/// Whether one of the filter's `keys:`, which grant it, verifies the signature
/// of the message. alg is a JWS algorithm, kid may be empty. error.Unsupported:
/// the filter has no keys.
pub fn verify(alg: []const u8, kid: []const u8, message: []const u8, signature: []const u8) HostError!bool {
    const result = imports.verify(alg.ptr, alg.len, kid.ptr, kid.len, message.ptr, message.len, signature.ptr, signature.len);
    if (result < 0) return failure(result);
    return result == 1;
}

/// Adds to a metric of the filter; the name is of `[a-z_][a-z0-9_]*`, delta not
/// below 0. Capability `metric_add`.
pub fn metricAdd(name: []const u8, delta: i64) HostError!void {
    const result = imports.metric_add(name.ptr, name.len, delta);
    if (result != 0) return failure(result);
}

/// Adds to a counter of the whole node, and returns its new value. With a window
/// it starts anew when that many milliseconds have passed since its first add;
/// 0: never. A delta of 0 reads. Capability `counter_add`.
pub fn counterAdd(key: []const u8, delta: i64, window_ms: i64) HostError!i64 {
    const result = imports.counter_add(key.ptr, key.len, delta, window_ms);
    return if (result < 0) failure(result) else result;
}

pub const Take = union(enum) {
    taken,
    /// Not taken; it could be in so many milliseconds.
    wait_ms: i64,
};

/// Takes tokens from a bucket of the whole node that holds burst and refills by
/// so many a second. Capability `bucket_take`.
pub fn bucketTake(key: []const u8, tokens: i64, burst: i64, refill_per_s: i64) HostError!Take {
    const result = imports.bucket_take(key.ptr, key.len, tokens, burst, refill_per_s);
    if (result < 0) return failure(result);
    return if (result == 0) .taken else .{ .wait_ms = result };
}

/// Reads a value that the filter keeps on the node into out; null: there is none.
/// Capability `kv_get`.
pub fn kvGet(key: []const u8, out: []u8) (HostError || error{NoSpaceLeft})!?[]u8 {
    const result = imports.kv_get(key.ptr, key.len, out.ptr, out.len);
    if (result == -3) return null;
    if (result < 0) return failure(result);
    const n: usize = @intCast(result);
    return if (n > out.len) error.NoSpaceLeft else out[0..n];
}

/// Keeps a value on the node for so many milliseconds; 0: for ever. Capability `kv_set`.
pub fn kvSet(key: []const u8, value: []const u8, ttl_ms: u63) HostError!void {
    const result = imports.kv_set(key.ptr, key.len, value.ptr, value.len, ttl_ms);
    if (result != 0) return failure(result);
}

/// Forgets a value. Capability `kv_set`.
pub fn kvDelete(key: []const u8) HostError!void {
    const result = imports.kv_set(key.ptr, key.len, key.ptr, 0, -1);
    if (result != 0) return failure(result);
}

/// Writes a line to standard error, which the node shows with the next failure.
pub fn print(line: []const u8) void {
    var written: usize = 0;
    _ = imports.fd_write(2, &.{ @intFromPtr(line.ptr), line.len }, 1, &written);
}

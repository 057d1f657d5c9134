//! The event: the question, and beside it the room for the answer.

const std = @import("std");
const builtin = @import("builtin");
const wasm = builtin.cpu.arch.isWasm();

/// A run of bytes at an absolute address of the filter's memory. Natively it
/// counts from the start of the memory of `testing`.
pub const Span = extern struct {
    ptr: u32 = 0,
    len: u32 = 0,

    pub fn bytes(s: Span) []u8 {
        if (!wasm) return @import("testing.zig").view(s);
        return @as([*]u8, @ptrFromInt(s.ptr))[0..s.len];
    }

    /// Sets an output. Nothing is copied in a filter, so what it points at has
    /// to outlive the hook.
    pub fn set(s: *Span, value: []const u8) void {
        if (!wasm) {
            s.* = @import("testing.zig").put(value);
            return;
        }
        // An empty slice may point anywhere; an output has to lie in memory.
        s.ptr = if (value.len == 0) @intCast(@intFromPtr(s)) else @intCast(@intFromPtr(value.ptr));
        s.len = @intCast(value.len);
    }
};

pub const Hook = enum(u32) { configure = 1, connect, join, message, leave, disconnect, _ };

/// Of a message and of a connect: what sort it is.
pub const Kind = enum { none, room, broadcast, direct, new, refresh };

/// Why a connection left a room.
pub const Cause = enum(u32) { left = 0, disconnected = 1, removed = 2, _ };

/// What the filter's `lookup:` found before the event was handed over.
pub const Lookup = union(enum) {
    none, // none was made
    found: []const u8,
    missed, // there is no such thing
    failed, // the source is down, slow, or answered what it must not
};

pub const MetaKind = enum(u32) {
    attribute = 1, // path, host, origin
    header = 2, // names in lower case
    query = 3,
    cookie = 4,
    _,
};

/// One entry of the upgrade request.
pub const Meta = struct {
    kind: MetaKind,
    name: []const u8,
    value: []const u8,

    pub const Raw = extern struct { kind: MetaKind, zero: u32 = 0, name: Span, value: Span };

    pub const Iterator = struct {
        rest: []const Raw,

        pub fn next(it: *Iterator) ?Meta {
            if (it.rest.len == 0) return null;
            const entry = it.rest[0];
            it.rest = it.rest[1..];
            return .{ .kind = entry.kind, .name = entry.name.bytes(), .value = entry.value.bytes() };
        }
    };
};

/// One event. What its functions return is valid until the hook returns.
pub const Event = extern struct {
    raw: Raw,

    /// The layout of ABI.md. Filters use the functions of Event.
    pub const Raw = extern struct {
        size: u32,
        hook: Hook,
        kind: u32 = 0,
        flags: u32 = 0,
        time_ns: i64 = 0,
        conn: u64 = 0,
        seq: u64 = 0,
        payload: Span,
        room: Span,
        user: Span,
        target: Span,
        claims: Span,
        state: Span,
        state_version: u32 = 0,
        cause: u32 = 0,
        meta: Span, // len counts entries
        lookup: Span,
        remote: Span,
        expires_ms: i64 = 0,

        out_code: u32 = 0,
        out_retry_ms: u32 = 0,
        out_reason: Span = .{},
        out_payload: Span = .{},
        out_room: Span = .{},
        out_state: Span = .{},
        out_user: Span = .{},
        out_claims: Span = .{},
        out_grants: Span = .{},
        out_expires_ms: i64 = 0,
    };

    pub fn hook(e: *const Event) Hook {
        return e.raw.hook;
    }
    pub fn kind(e: *const Event) Kind {
        return switch (e.raw.hook) {
            .message => switch (e.raw.kind) {
                1 => .room,
                2 => .broadcast,
                3 => .direct,
                else => .none,
            },
            .connect => if (e.raw.kind == 2) .refresh else .new,
            else => .none,
        };
    }
    /// Whether a message comes from the server API, not from a client.
    pub fn fromServer(e: *const Event) bool {
        return e.raw.flags & 1 != 0;
    }
    /// When the event happened, Unix nanoseconds. It needs no capability.
    pub fn timeNs(e: *const Event) i64 {
        return e.raw.time_ns;
    }
    /// The connection; 0: none.
    pub fn conn(e: *const Event) u64 {
        return e.raw.conn;
    }
    /// Counts the connection's events, from 1.
    pub fn seq(e: *const Event) u64 {
        return e.raw.seq;
    }
    /// The configuration, the content of a message, or the token of a refresh.
    /// A filter may write over it.
    pub fn payload(e: *const Event) []u8 {
        return e.raw.payload.bytes();
    }
    pub fn room(e: *const Event) []const u8 {
        return e.raw.room.bytes();
    }
    pub fn user(e: *const Event) []const u8 {
        return e.raw.user.bytes();
    }
    /// The receiver of a direct message.
    pub fn target(e: *const Event) []const u8 {
        return e.raw.target.bytes();
    }
    /// A JSON object, or empty.
    pub fn claims(e: *const Event) []const u8 {
        return e.raw.claims.bytes();
    }
    /// What this filter's last setState on this connection left.
    pub fn state(e: *const Event) []const u8 {
        return e.raw.state.bytes();
    }
    /// The `state_version` of the filter that wrote the state.
    pub fn stateVersion(e: *const Event) u32 {
        return e.raw.state_version;
    }
    /// The client's address, without port.
    pub fn remote(e: *const Event) []const u8 {
        return e.raw.remote.bytes();
    }
    /// When the identity expires, Unix milliseconds; 0: never.
    pub fn expiresMs(e: *const Event) i64 {
        return e.raw.expires_ms;
    }
    /// Of a leave.
    pub fn cause(e: *const Event) Cause {
        return @fromBackingInt(@intCast(e.raw.cause));
    }
    /// Of a disconnect.
    pub fn closeCode(e: *const Event) u32 {
        return e.raw.cause;
    }
    pub fn lookup(e: *const Event) Lookup {
        return switch ((e.raw.flags >> 1) & 3) {
            1 => .{ .found = e.raw.lookup.bytes() },
            2 => .missed,
            3 => .failed,
            else => .none,
        };
    }

    /// The upgrade request of a connect.
    pub fn meta(e: *const Event) Meta.Iterator {
        const all: Span = .{ .ptr = e.raw.meta.ptr, .len = e.raw.meta.len * @sizeOf(Meta.Raw) };
        const first: [*]const Meta.Raw = @ptrCast(@alignCast(all.bytes().ptr));
        return .{ .rest = first[0..e.raw.meta.len] };
    }
    /// The first value of that kind and name (a header's in lower case).
    pub fn metaFind(e: *const Event, of: MetaKind, name: []const u8) ?[]const u8 {
        var it = e.meta();
        while (it.next()) |entry| {
            if (entry.kind == of and std.mem.eql(u8, entry.name, name)) return entry.value;
        }
        return null;
    }

    /// What the next event of this connection finds in state(), whatever the
    /// verdict. Not copied: no local variable. Empty forgets it.
    pub fn setState(e: *Event, value: []const u8) void {
        e.raw.out_state.set(value);
    }
};

comptime {
    const offsets = .{
        .{ "size", 0 },             .{ "hook", 4 },           .{ "kind", 8 },          .{ "flags", 12 },
        .{ "time_ns", 16 },         .{ "conn", 24 },          .{ "seq", 32 },          .{ "payload", 40 },
        .{ "room", 48 },            .{ "user", 56 },          .{ "target", 64 },       .{ "claims", 72 },
        .{ "state", 80 },           .{ "state_version", 88 }, .{ "cause", 92 },        .{ "meta", 96 },
        .{ "lookup", 104 },         .{ "remote", 112 },       .{ "expires_ms", 120 },  .{ "out_code", 128 },
        .{ "out_retry_ms", 132 },   .{ "out_reason", 136 },   .{ "out_payload", 144 }, .{ "out_room", 152 },
        .{ "out_state", 160 },      .{ "out_user", 168 },     .{ "out_claims", 176 },  .{ "out_grants", 184 },
        .{ "out_expires_ms", 192 },
    };
    for (offsets) |o| if (@offsetOf(Event.Raw, o[0]) != o[1]) @compileError("Event.Raw is not the layout of ABI.md: " ++ o[0]);
    if (@sizeOf(Event) != 200 or @sizeOf(Meta.Raw) != 24) @compileError("Event is not the layout of ABI.md");
}

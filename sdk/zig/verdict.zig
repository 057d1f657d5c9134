//! The answer of a hook.

const Event = @import("event.zig").Event;

/// Codes of a denial, for the client. The filter's own are 1000 to 3999:
/// `.own(1234)`.
pub const Code = enum(u32) {
    bad_request = 400,
    unauthorized = 401,
    forbidden = 403,
    not_found = 404,
    conflict = 409,
    too_large = 413,
    invalid = 422,
    rate_limited = 429,
    unavailable = 503,
    _,

    pub fn own(number: u32) Code {
        return @fromBackingInt(@intCast(number));
    }
};

/// Who a connection is, for `.identity` in onConnect. What is null stays as an
/// earlier filter set it.
pub const Identity = struct {
    user: ?[]const u8 = null,
    /// A JSON value that others see beside the user.
    info: ?[]const u8 = null,
    /// A JSON object.
    claims: ?[]const u8 = null,
    /// A JSON array, see ABI.md.
    grants: ?[]const u8 = null,
    /// Unix milliseconds; 0: unset.
    expires_ms: i64 = 0,
};

/// What a hook returns. The texts in it are read after the hook has returned:
/// constants, globals, parts of the inputs, never a local variable.
pub const Verdict = struct {
    action: Action = .proceed,
    code: u32 = 0,
    retry_ms: u32 = 0,
    reason: []const u8 = "",
    /// The new content of a message, one JSON value.
    payload: ?[]const u8 = null,
    /// The room to send a room message to instead.
    room: ?[]const u8 = null,
    who: Identity = .{},

    pub const Action = enum(i32) { fail = -1, proceed = 0, allow, deny, drop, disconnect };

    /// Continue: ask the next filter.
    pub const proceed: Verdict = .{};
    /// Skip the rest of the chain, where the configuration lets it.
    pub const allow: Verdict = .{ .action = .allow };
    /// Refuse a message, and let its sender believe that it was accepted.
    pub const drop: Verdict = .{ .action = .drop };
    /// The filter reports its own failure.
    pub const fail: Verdict = .{ .action = .fail };

    /// Refuse, and tell the client.
    pub fn deny(code: Code, reason: []const u8) Verdict {
        return .{ .action = .deny, .code = @backingInt(code), .reason = reason };
    }
    /// Refuse, and tell the client when to try again.
    pub fn denyFor(code: Code, retry_ms: u32, reason: []const u8) Verdict {
        return .{ .action = .deny, .code = @backingInt(code), .retry_ms = retry_ms, .reason = reason };
    }
    /// Close the connection; code is 4000 to 4999, or 0 for 4008.
    pub fn disconnect(code: u32, reason: []const u8) Verdict {
        return .{ .action = .disconnect, .code = code, .reason = reason };
    }
    /// Replace the content of a message by another JSON value, and continue.
    pub fn rewrite(json: []const u8) Verdict {
        return .{ .payload = json };
    }
    /// Send a room message to another room, and continue. Needs `may: {reroute: [...]}`.
    pub fn reroute(room: []const u8) Verdict {
        return .{ .room = room };
    }
    /// Of a connect: this is who it is, and continue.
    pub fn identity(who: Identity) Verdict {
        return .{ .who = who };
    }

    /// Writes the verdict into the event, and returns its number.
    pub inline fn give(v: Verdict, e: *Event) i32 {
        const out = &e.raw;
        if (v.action == .deny or v.action == .disconnect) {
            out.out_code = v.code;
            out.out_retry_ms = v.retry_ms;
            out.out_reason.set(v.reason);
        }
        if (v.payload) |json| out.out_payload.set(json);
        if (v.room) |room| out.out_room.set(room);
        if (e.raw.hook == .connect) giveIdentity(v.who, e);
        return @backingInt(v.action);
    }

    inline fn giveIdentity(who: Identity, e: *Event) void {
        const out = &e.raw;
        if (who.user) |user| out.out_user.set(user);
        if (who.info) |json| out.out_payload.set(json);
        if (who.claims) |json| out.out_claims.set(json);
        if (who.grants) |json| out.out_grants.set(json);
        if (who.expires_ms != 0) out.out_expires_ms = who.expires_ms;
    }
};

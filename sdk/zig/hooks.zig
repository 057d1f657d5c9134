//! Makes a filter of a file with hooks.

const std = @import("std");
const builtin = @import("builtin");
const wasm = builtin.cpu.arch.isWasm();
const Event = @import("event.zig").Event;
const Verdict = @import("verdict.zig").Verdict;

/// The hooks: the function that a filter declares, and the export that it becomes.
const known = .{
    .{ "onConfigure", "on_configure" }, .{ "onConnect", "on_connect" }, .{ "onJoin", "on_join" },
    .{ "onMessage", "on_message" },     .{ "onLeave", "on_leave" },     .{ "onDisconnect", "on_disconnect" },
};
const list = "onConfigure, onConnect, onJoin, onMessage, onLeave, onDisconnect";

/// Exports the hooks among the public declarations of a filter's root file:
///
///     comptime {
///         sluice.exportHooks(@This());
///     }
///
/// A hook is `pub fn onMessage(e: *sluice.Event) sluice.Verdict`, or returns
/// `!sluice.Verdict`, where an error becomes the failure guest_error. A public
/// name that begins like a hook's and is none is refused.
/// `pub const state_version = 2;` is the version of the layout of its state.
pub fn exportHooks(comptime Filter: type) void {
    comptime {
        @setEvalBranchQuota(20_000);
        for (@typeInfo(Filter).@"struct".decl_names) |name| {
            if (looksLikeHook(name) and !isHook(name)) @compileError(name ++ " is not a hook; there are " ++ list);
        }
        var found = 0;
        for (known) |hook| {
            if (!@hasDecl(Filter, hook[0])) continue;
            const signature = @typeInfo(@TypeOf(@field(Filter, hook[0])));
            if (signature != .@"fn" or signature.@"fn".param_types.len != 1 or signature.@"fn".param_types[0] != *Event)
                @compileError(hook[0] ++ " has to be a function of one *sluice.Event");
            if (hook[0][2] != 'C' or hook[0].len != "onConfigure".len) found += 1;
            if (wasm) @export(&Export(@field(Filter, hook[0])).call, .{ .name = hook[1] });
        }
        if (found == 0) @compileError("the filter has no public hook; there are " ++ list);
        if (!wasm) return;
        @export(&marker, .{ .name = "sluice_abi_v1" });
        @export(&giveBuffer, .{ .name = "sluice_buffer" });
        if (@hasDecl(Filter, "state_version"))
            @export(&StateVersion(Filter.state_version).call, .{ .name = "sluice_state_version" });
    }
}

fn looksLikeHook(comptime name: []const u8) bool {
    return name.len > 2 and name[0] == 'o' and name[1] == 'n' and (std.ascii.isUpper(name[2]) or name[2] == '_');
}

fn isHook(comptime name: []const u8) bool {
    for (known) |hook| if (std.mem.eql(u8, name, hook[0])) return true;
    return false;
}

fn Export(comptime hook: anytype) type {
    return struct {
        fn call(e: *Event) callconv(.c) i32 {
            const answer = hook(e);
            if (@typeInfo(@TypeOf(answer)) != .error_union) return answer.give(e);
            const verdict: Verdict = answer catch |err| failed: {
                @import("host.zig").print(@errorName(err));
                break :failed .fail;
            };
            return verdict.give(e);
        }
    };
}

fn StateVersion(comptime version: u32) type {
    return struct {
        fn call() callconv(.c) u32 {
            return version;
        }
    };
}

fn marker() callconv(.c) void {}

/// What was given out last, in pages.
var base: usize = 0;
var pages: usize = 0;

/// A buffer that grows, in pages of its own.
fn giveBuffer(min: usize) callconv(.c) usize {
    const page = 65536;
    const want = @max(1, min / page + @intFromBool(min % page != 0));
    if (want <= pages) return base * page;
    const end: usize = @wasmMemorySize(0);
    var from = base;
    var have = pages;
    if (have == 0 or from + have != end) { // somebody else has grown memory: begin behind it
        from = end;
        have = 0;
    }
    if (@wasmMemoryGrow(0, want - have) < 0) return 0;
    base = from;
    pages = want;
    return base * page;
}

//! Write Sluice filters in Zig.
//!
//!     const sluice = @import("sluice");
//!
//!     pub const panic = sluice.panic;
//!     comptime {
//!         sluice.exportHooks(@This());
//!     }
//!
//!     pub fn onMessage(e: *sluice.Event) sluice.Verdict {
//!         if (e.payload().len > 1000) return .deny(.too_large, "too long");
//!         return .proceed;
//!     }
//!
//! ABI.md, one folder up, is the normative text of what stands behind this.
//! Compiled for wasm a file with hooks becomes a filter; under `zig test` its
//! hooks are called by tests, and `sluice.testing` stands in for the host.

const builtin = @import("builtin");
const hooks = @import("hooks.zig");

pub const Event = @import("event.zig").Event;
pub const Hook = @import("event.zig").Hook;
pub const Kind = @import("event.zig").Kind;
pub const Cause = @import("event.zig").Cause;
pub const Lookup = @import("event.zig").Lookup;
pub const Meta = @import("event.zig").Meta;
pub const MetaKind = @import("event.zig").MetaKind;
pub const Verdict = @import("verdict.zig").Verdict;
pub const Code = @import("verdict.zig").Code;
pub const Identity = @import("verdict.zig").Identity;

pub const Text = @import("text.zig").Text;
pub const config = @import("config.zig");
pub const rooms = @import("rooms.zig");

const host = @import("host.zig");
pub const Level = host.Level;
pub const HostError = host.HostError;
pub const Take = host.Take;
pub const log = host.log;
pub const now = host.now;
pub const random = host.random;
pub const verify = host.verify;
pub const metricAdd = host.metricAdd;
pub const counterAdd = host.counterAdd;
pub const bucketTake = host.bucketTake;
pub const kvGet = host.kvGet;
pub const kvSet = host.kvSet;
pub const kvDelete = host.kvDelete;
pub const errorCode = host.errorCode;

/// Maxima of outputs, in bytes.
pub const max_name = 255; // room, user
pub const max_reason = 512;
pub const max_payload = 65536; // a rewritten message
pub const max_claims = 16384; // also grants
pub const max_state = 1024; // unless the configuration allows more

pub const exportHooks = hooks.exportHooks;

/// Stands in for the host in `zig test`.
pub const testing = if (builtin.cpu.arch.isWasm())
    @compileError("sluice.testing is for native tests")
else
    @import("testing.zig");

/// `pub const panic = sluice.panic;` in the root file of a filter shows what a
/// panic says with the failure that it becomes. Without it a panic is a bare trap.
pub const panic = @import("panic.zig");

test {
    _ = @import("config.zig");
    _ = @import("rooms.zig");
    _ = @import("text.zig");
    _ = @import("testing_test.zig");
}

//! noop: continues with every message. It shows what a call costs.

const sluice = @import("sluice");

pub const panic = sluice.panic;
comptime {
    sluice.exportHooks(@This());
}

pub fn onMessage(_: *sluice.Event) sluice.Verdict {
    return .proceed;
}

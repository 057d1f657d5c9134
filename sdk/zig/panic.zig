//! Panics: the message goes to standard error, which the node shows with the
//! failure, and the call ends in a trap. Messages hold no numbers: formatting
//! them would add kilobytes to a filter that checks its arithmetic (-O safe).

const std = @import("std");
const print = @import("host.zig").print;

pub fn call(message: []const u8, _: ?usize) noreturn {
    @branchHint(.cold);
    print(message);
    @trap();
}

pub fn sentinelMismatch(expected: anytype, _: @TypeOf(expected)) noreturn {
    call("sentinel mismatch", null);
}
pub fn unwrapError(err: anyerror) noreturn {
    print("attempt to unwrap error:");
    call(@errorName(err), null);
}
pub fn outOfBounds(_: usize, _: usize) noreturn {
    call("index out of bounds", null);
}
pub fn startGreaterThanEnd(_: usize, _: usize) noreturn {
    call("start index is larger than end index", null);
}
pub fn inactiveUnionField(active: anytype, _: @TypeOf(active)) noreturn {
    call("access of inactive union field", null);
}
pub fn sliceCastLenRemainder(_: usize) noreturn {
    call("slice length does not divide exactly into destination elements", null);
}
pub fn unexpectedErrorCode(err: anyerror) noreturn {
    print("unexpected error code:");
    call(@errorName(err), null);
}

const full = std.debug.FullPanic(call);
pub const reachedUnreachable = full.reachedUnreachable;
pub const unwrapNull = full.unwrapNull;
pub const castToNull = full.castToNull;
pub const incorrectAlignment = full.incorrectAlignment;
pub const invalidErrorCode = full.invalidErrorCode;
pub const integerOutOfBounds = full.integerOutOfBounds;
pub const integerOverflow = full.integerOverflow;
pub const shlOverflow = full.shlOverflow;
pub const shrOverflow = full.shrOverflow;
pub const divideByZero = full.divideByZero;
pub const exactDivisionRemainder = full.exactDivisionRemainder;
pub const integerPartOutOfBounds = full.integerPartOutOfBounds;
pub const corruptSwitch = full.corruptSwitch;
pub const shiftRhsTooBig = full.shiftRhsTooBig;
pub const invalidEnumValue = full.invalidEnumValue;
pub const forLenMismatch = full.forLenMismatch;
pub const copyLenMismatch = full.copyLenMismatch;
pub const memcpyAlias = full.memcpyAlias;
pub const noreturnReturned = full.noreturnReturned;
pub const loadUninstantiableType = full.loadUninstantiableType;

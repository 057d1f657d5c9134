//! Finds the matches of a pattern in linear time, whatever the text.
//!
//! From right to left an automaton says of each place from which instructions
//! the pattern can still come to its end. All its states are made while the
//! filter is configured, so that a step is one look into a table; a pattern that
//! needs too many is refused. From left to right, then, a match begins where the
//! start is among these instructions, and is walked by the preferred way that
//! comes to an end: no step is ever taken back.

const std = @import("std");
const parse = @import("parse.zig");
const program = @import("program.zig");
const Program = program.Program;
const Place = program.Place;
const Set = program.Set;

/// Room for all patterns together.
pub const max_states = 2048;
pub const max_steps = 65535;
const max_symbols = 96;
const max_edges = 600;

pub const Error = error{TooLarge};

/// The character beside a place, as far as places go by it.
const Side = enum(u2) { none, other, word };

/// A set of instructions that take a character and lead to the end, and what
/// character comes next, if the program asks for places.
const State = struct {
    open: Set,
    side: Side,
    starts: [3]bool, // by the side before: whether a match begins here
};

var states: [max_states]State = undefined;
var steps: [max_steps]u16 = undefined;
/// Whether a match begins in a state, in a step that leads to it.
const starting: u16 = 0x8000;
var states_used: usize = 0;
var steps_used: usize = 0;

pub fn forgetAll() void {
    states_used = 0;
    steps_used = 0;
}

/// Scratch of configuring.
var reach: [2][2][program.max_chars]Set = undefined; // by end and boundary, what follows a char
var finish: [2][2]Set = undefined; // which chars may be the last
var edges: [max_edges]u21 = undefined;
var takers: [max_symbols]Set = undefined; // by symbol, which instructions take it
var index: [2 * max_states]u16 = undefined; // finds states by their hash; none: no state
const none: u16 = 0xFFFF;

pub const Automaton = struct {
    prog: Program = .{},
    first_state: usize = 0,
    first_step: usize = 0,
    symbols: usize = 0,
    /// By symbol; Side.none where the program asks for no places.
    sides: [max_symbols]Side = undefined,
    ascii: [128]u8 = undefined,
    /// Above ASCII: where the characters of a symbol begin, in order.
    wide: [max_edges]Wide = undefined,
    wide_len: usize = 0,

    const Wide = struct { from: u21, symbol: u8 };

    /// Makes the states of the program in `prog`.
    pub fn build(a: *Automaton) Error!void {
        try a.divide();
        a.prepare();
        a.first_state = states_used;
        a.first_step = steps_used;
        @memset(&index, none);
        _ = try a.find(0, .none);
        var i = a.first_state;
        while (i < states_used) : (i += 1) {
            if (steps.len - steps_used < a.symbols) return error.TooLarge;
            steps_used += a.symbols;
            const from = states[i];
            const leads = [2]Set{ a.leading(from, .other), a.leading(from, .word) };
            for (0..a.symbols) |s| {
                const side = a.sides[s];
                const open = takers[s] & leads[@intFromBool(side == .word)];
                steps[a.first_step + (i - a.first_state) * a.symbols + s] = try a.find(open, side);
            }
        }
    }

    /// Divides all characters into symbols: those that the same instructions take.
    fn divide(a: *Automaton) Error!void {
        var n: usize = 0;
        try addEdge(&n, 0);
        try addEdge(&n, 128);
        for (a.prog.chars[0..a.prog.chars_len]) |c| for (c.ranges) |r| {
            try addEdge(&n, r.low);
            try addEdge(&n, r.high + 1);
        };
        if (a.prog.places) for (parse.Tree.word) |r| {
            try addEdge(&n, r.low);
            try addEdge(&n, r.high + 1);
        };
        a.symbols = 0;
        a.wide_len = 0;
        for (edges[0..n], 0..) |from, i| {
            if (from > parse.last_char) break;
            const symbol = try a.symbolOf(from);
            const to = if (i + 1 < n) edges[i + 1] else parse.last_char + 1;
            if (from < 128) {
                @memset(a.ascii[from..@min(to, 128)], symbol);
            } else {
                a.wide[a.wide_len] = .{ .from = from, .symbol = symbol };
                a.wide_len += 1;
            }
        }
    }

    fn addEdge(n: *usize, c: u21) Error!void {
        var i: usize = 0;
        while (i < n.* and edges[i] < c) i += 1;
        if (i < n.* and edges[i] == c) return;
        if (n.* == max_edges) return error.TooLarge;
        std.mem.copyBackwards(u21, edges[i + 1 .. n.* + 1], edges[i..n.*]);
        edges[i] = c;
        n.* += 1;
    }

    fn symbolOf(a: *Automaton, c: u21) Error!u8 {
        var takes: Set = 0;
        for (a.prog.chars[0..a.prog.chars_len], 0..) |char, i| {
            for (char.ranges) |r| {
                if (c >= r.low and c <= r.high) takes |= @as(Set, 1) << @intCast(i);
            }
        }
        const side: Side = if (!a.prog.places) .none else if (c < 128 and isWord(@intCast(c))) .word else .other;
        for (0..a.symbols) |s| {
            if (takers[s] == takes and a.sides[s] == side) return @intCast(s);
        }
        if (a.symbols == max_symbols) return error.TooLarge;
        takers[a.symbols] = takes;
        a.sides[a.symbols] = side;
        a.symbols += 1;
        return @intCast(a.symbols - 1);
    }

    /// Finds what may follow each character, in every kind of place.
    fn prepare(a: *Automaton) void {
        const kinds: usize = if (a.prog.places) 2 else 1;
        for (0..kinds) |end| for (0..kinds) |boundary| {
            finish[end][boundary] = 0;
            for (a.prog.chars[0..a.prog.chars_len], 0..) |c, i| {
                const all = a.follow(c.next, .{ .end = end == 1, .boundary = boundary == 1 });
                reach[end][boundary][i] = all.chars;
                if (all.match) finish[end][boundary] |= @as(Set, 1) << @intCast(i);
            }
        };
    }

    const Follow = struct { chars: Set = 0, match: bool = false };

    fn follow(a: *const Automaton, from: u16, place: Place) Follow {
        var out: Follow = .{};
        var ways: program.Walk = .from(&a.prog, from, place);
        while (ways.next()) |inst| switch (inst) {
            .char => |c| out.chars |= @as(Set, 1) << @intCast(c.index),
            else => out.match = true,
        };
        return out;
    }

    /// The instructions that lead from a character before the place of a state to
    /// the end.
    fn leading(a: *const Automaton, s: State, before: Side) Set {
        const end = @intFromBool(a.prog.places and s.side == .none);
        const boundary = @intFromBool(a.prog.places and (before == .word) != (s.side == .word));
        var out = finish[end][boundary];
        for (reach[end][boundary][0..a.prog.chars_len], 0..) |chars, i| {
            if (chars & s.open != 0) out |= @as(Set, 1) << @intCast(i);
        }
        return out;
    }

    /// The step to a state, which is made if there is none.
    fn find(a: *const Automaton, open: Set, side: Side) Error!u16 {
        var slot = hash(open) +% @backingInt(side);
        while (true) : (slot += 1) {
            slot %= index.len;
            if (index[slot] == none) break;
            const s = &states[index[slot]];
            if (s.open == open and s.side == side) return a.stepTo(index[slot]);
        }
        if (states_used == max_states) return error.TooLarge;
        var s: State = .{ .open = open, .side = side, .starts = undefined };
        for (&s.starts, [_]Side{ .none, .other, .word }) |*starts, before| {
            const place: Place = .{ .begin = before == .none, .boundary = (before == .word) != (side == .word) };
            starts.* = a.follow(a.prog.start, place).chars & open != 0;
        }
        states[states_used] = s;
        index[slot] = @intCast(states_used);
        states_used += 1;
        return a.stepTo(index[slot]);
    }

    fn stepTo(a: *const Automaton, number: u16) u16 {
        const starts = states[number].starts;
        const own: u16 = @intCast(number - a.first_state);
        return if (starts[0] or starts[1] or starts[2]) own | starting else own;
    }

    fn hash(open: Set) usize {
        var h: u64 = 0x9E3779B97F4A7C15;
        for (@as([4]u64, @bitCast(open))) |w| h = (h ^ w) *% 0xFF51AFD7ED558CCD;
        return @intCast(h >> 40);
    }

    fn lookUp(a: *const Automaton, c: u21) u8 {
        if (c < 128) return a.ascii[c];
        var low: usize = 0;
        var high = a.wide_len;
        while (high - low > 1) {
            const middle = (low + high) / 2;
            if (a.wide[middle].from <= c) low = middle else high = middle;
        }
        return a.wide[low].symbol;
    }

    /// Goes from the end of the text to its begin and leaves the state of each
    /// place in trace, which has room for one more than the text. Returns whether
    /// there is a match.
    pub fn look(a: *const Automaton, text: []const u8, trace: []u16) bool {
        const table = steps[a.first_step..];
        var state: u16 = 0;
        var i = text.len;
        trace[i] = 0;
        var seen: u16 = 0;
        while (i > 0) {
            i -= 1;
            const b = text[i];
            const s = if (b < 0x80) a.ascii[b] else wide: {
                while (text[i] & 0xC0 == 0x80 and i > 0) i -= 1;
                break :wide a.lookUp(decode(text[i..]));
            };
            const step = table[state * a.symbols + s];
            seen |= step;
            state = step & ~starting;
            trace[i] = state;
        }
        return seen & starting != 0;
    }

    /// The first match that begins at or behind a place, after `look`.
    pub fn next(a: *const Automaton, text: []const u8, trace: []const u16, from: usize) ?[2]usize {
        var i = from;
        while (i < text.len) : (i += width(text[i])) {
            const before: Side = if (!a.prog.places or i == 0) .none else sideOf(text[i - 1]);
            if (a.stateAt(trace[i]).starts[@backingInt(before)]) return .{ i, a.endOf(text, trace, i) };
        }
        return null;
    }

    fn stateAt(a: *const Automaton, number: u16) *const State {
        return &states[a.first_state + number];
    }

    /// Where the match ends that begins at a place.
    fn endOf(a: *const Automaton, text: []const u8, trace: []const u16, from: usize) usize {
        var i = from;
        var inst = a.prog.start;
        while (true) {
            switch (a.prog.insts[inst]) { // mostly there is one way only
                .char => |c| {
                    i = @min(i + width(text[i]), text.len);
                    inst = c.next;
                    continue;
                },
                .match => return i,
                else => {},
            }
            const place: Place = if (!a.prog.places) .{} else .{
                .begin = i == 0,
                .end = i == text.len,
                .boundary = (i > 0 and isWord(text[i - 1])) != (i < text.len and isWord(text[i])),
            };
            const open = a.stateAt(trace[i]).open;
            var ways: program.Walk = .from(&a.prog, inst, place);
            inst = while (ways.next()) |way| switch (way) {
                .char => |c| if (open >> @intCast(c.index) & 1 != 0) break c.next,
                else => return i,
            } else return i; // never: the place was said to lead to the end
            i = @min(i + width(text[i]), text.len);
        }
    }
};

fn isWord(c: u8) bool {
    return std.ascii.isAlphanumeric(c) or c == '_';
}
fn sideOf(c: u8) Side {
    return if (isWord(c)) .word else .other;
}

/// The bytes of the character that begins with c. Text is UTF-8; what is not is
/// taken byte by byte at worst, and never read beyond its end.
fn width(c: u8) usize {
    return if (c < 0xC0) 1 else if (c < 0xE0) 2 else if (c < 0xF0) 3 else 4;
}
fn decode(text: []const u8) u21 {
    const n = width(text[0]);
    if (n == 1 or text.len < n) return 0xFFFD;
    return std.unicode.utf8Decode(text[0..n]) catch 0xFFFD;
}

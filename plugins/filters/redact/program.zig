//! Compiles a tree into a program: instructions of which each takes a character,
//! chooses between two ways, or asks for a place.

const parse = @import("parse.zig");
const Tree = parse.Tree;

pub const max_insts = 700;
/// Instructions that take a character. They are numbered on their own, so that a
/// set of them is an integer.
pub const max_chars = 256;
pub const Set = u256;

pub const Inst = union(enum) {
    match,
    char: struct { index: u16, next: u16 },
    split: struct { a: u16, b: u16 }, // a is preferred
    begin: u16,
    end: u16,
    boundary: u16,
    not_boundary: u16,
};

/// What is known of a place between two characters.
pub const Place = struct {
    begin: bool = false,
    end: bool = false,
    boundary: bool = false,
};

pub const Error = error{TooLarge};

/// The program of one pattern.
pub const Program = struct {
    insts: [max_insts]Inst = undefined,
    len: u16 = 0,
    start: u16 = 0,
    chars: [max_chars]Char = undefined,
    chars_len: u16 = 0,
    /// Whether it asks for a place.
    places: bool = false,

    pub const Char = struct { ranges: []const parse.Range, next: u16 };

    pub fn compile(p: *Program, tree: *const Tree, root: u16) Error!void {
        p.len = 0;
        p.chars_len = 0;
        p.places = false;
        p.start = try p.emit(tree, root, try p.add(.match));
    }

    fn add(p: *Program, inst: Inst) Error!u16 {
        if (p.len == max_insts) return error.TooLarge;
        p.insts[p.len] = inst;
        p.len += 1;
        return p.len - 1;
    }

    /// Adds instructions for a node that go on at next; returns the first.
    fn emit(p: *Program, tree: *const Tree, node: u16, next: u16) Error!u16 {
        switch (tree.nodes[node]) {
            .empty => return next,
            .chars => |c| {
                if (p.chars_len == max_chars) return error.TooLarge;
                const index = p.chars_len;
                p.chars[index] = .{ .ranges = tree.ranges[c.from..c.to], .next = next };
                p.chars_len += 1;
                return p.add(.{ .char = .{ .index = index, .next = next } });
            },
            .begin => return p.ask(.{ .begin = next }),
            .end => return p.ask(.{ .end = next }),
            .boundary => return p.ask(.{ .boundary = next }),
            .not_boundary => return p.ask(.{ .not_boundary = next }),
            .cat => |c| return p.emit(tree, c.a, try p.emit(tree, c.b, next)),
            .either => |c| {
                const b = try p.emit(tree, c.b, next);
                return p.add(.{ .split = .{ .a = try p.emit(tree, c.a, next), .b = b } });
            },
            .repeat => |r| {
                var at = next;
                if (r.max) |max| {
                    for (r.min..max) |_| at = try p.add(.{ .split = .{ .a = try p.emit(tree, r.of, at), .b = next } });
                    for (0..r.min) |_| at = try p.emit(tree, r.of, at);
                    return at;
                }
                at = try p.loop(tree, r.of, next, r.min == 0);
                for (1..@max(1, r.min)) |_| at = try p.emit(tree, r.of, at);
                return at;
            },
        }
    }

    fn ask(p: *Program, inst: Inst) Error!u16 {
        p.places = true;
        return p.add(inst);
    }

    /// Once or more; or, if it may be left out, any number of times.
    fn loop(p: *Program, tree: *const Tree, of: u16, next: u16, optional: bool) Error!u16 {
        const split = try p.add(.{ .split = .{ .a = 0, .b = next } });
        const body = try p.emit(tree, of, split);
        p.insts[split].split.a = body;
        if (!optional) return body;
        // What may be empty is x+ that may be left out: else an empty turn would
        // be preferred to a later alternative.
        if (nullable(tree, of)) return p.add(.{ .split = .{ .a = body, .b = next } });
        return split;
    }
};

/// Whether a node matches without taking a character.
pub fn nullable(tree: *const Tree, node: u16) bool {
    return switch (tree.nodes[node]) {
        .chars => false,
        .cat => |c| nullable(tree, c.a) and nullable(tree, c.b),
        .either => |c| nullable(tree, c.a) or nullable(tree, c.b),
        .repeat => |r| r.min == 0 or nullable(tree, r.of),
        else => true,
    };
}

/// Walks, in the order of preference, the instructions that an instruction leads
/// to without taking a character.
pub const Walk = struct {
    program: *const Program,
    place: Place,
    stack: [max_insts]u16 = undefined,
    len: usize = 0,
    visited: [(max_insts + 63) / 64]u64 = @splat(0),

    pub fn from(program: *const Program, start: u16, place: Place) Walk {
        var w: Walk = .{ .program = program, .place = place };
        w.push(start);
        return w;
    }

    fn push(w: *Walk, inst: u16) void {
        w.stack[w.len] = inst;
        w.len += 1;
    }

    /// The next character that may be taken, or the match; null: no more.
    pub fn next(w: *Walk) ?Inst {
        while (w.len > 0) {
            w.len -= 1;
            const at = w.stack[w.len];
            const bit = @as(u64, 1) << @intCast(at & 63);
            if (w.visited[at >> 6] & bit != 0) continue;
            w.visited[at >> 6] |= bit;
            switch (w.program.insts[at]) {
                .match, .char => return w.program.insts[at],
                .split => |s| {
                    // Each instruction is expanded once and leaves one more behind,
                    // so that the stack suffices.
                    w.push(s.b);
                    w.push(s.a);
                },
                .begin => |to| if (w.place.begin) w.push(to),
                .end => |to| if (w.place.end) w.push(to),
                .boundary => |to| if (w.place.boundary) w.push(to),
                .not_boundary => |to| if (!w.place.boundary) w.push(to),
            }
        }
        return null;
    }
};

//! The configuration, and what is made of it.

const std = @import("std");
const sluice = @import("sluice");
const cards = @import("cards.zig");
const automaton = @import("automaton.zig");
const parse = @import("parse.zig");
const program = @import("program.zig");

const max_patterns = 16;

const Config = struct {
    cards: bool = true,
    emails: bool = true,
    patterns: []const Pattern = &.{},
    replace: []const u8 = "[redacted]",
    mode: enum { redact, deny } = .redact,
    code: u32 = 422,
    reason: []const u8 = "content has something in it that must not be passed on",

    pub const bounds = .{
        .patterns = .{ 0, max_patterns },
        .replace = .{ 0, 64 },
        .code = .{ 400, 3999 },
        .reason = .{ 1, 500 },
    };
};

const Pattern = struct {
    name: []const u8,
    pattern: []const u8,
    replace: ?[]const u8 = null,

    pub const bounds = .{ .name = .{ 1, 64 }, .pattern = .{ 1, 1000 }, .replace = .{ 0, 64 } };
};

pub var config: Config = .{};
var texts: [24 << 10]u8 align(8) = undefined; // what config points into

// Who finds something has a rank: where matches overlap, the lowest one's
// replacement is taken.
pub const rank_cards = 0;
pub const rank_emails = 1;
pub const rank_patterns = 2;
pub const max_ranks = rank_patterns + max_patterns;

var all: [max_patterns]automaton.Automaton = undefined;
var replacements: [max_ranks][]const u8 = undefined; // as they stand in JSON
var escaped: [max_ranks * 64 * 6]u8 = undefined;

pub fn automata() []const automaton.Automaton {
    return all[0..config.patterns.len];
}
pub fn replacement(rank: u8) []const u8 {
    return replacements[rank];
}
/// The name of a rank in metrics.
pub fn nameOf(rank: u8) []const u8 {
    return switch (rank) {
        rank_cards => "cards",
        rank_emails => "emails",
        else => config.patterns[rank - rank_patterns].name,
    };
}

var reason_storage: [sluice.max_reason]u8 = undefined;

pub fn configure(e: *sluice.Event) sluice.Verdict {
    var fault: sluice.config.Fault = .{};
    config = sluice.config.read(Config, e.payload(), &texts, &fault) catch return .deny(.invalid, fault.explain());
    if (!isCode(config.code)) return .deny(.invalid, "code has to be 400, 401, 403, 404, 409, 413, 422, 429, 503, or from 1000 to 3999");
    if (!config.cards and !config.emails and config.patterns.len == 0)
        return .deny(.invalid, "nothing to look for: cards and emails are off, and there are no patterns");
    cards.prepare();
    prepareReplacements();
    automaton.forgetAll();
    for (config.patterns, 0..) |p, i| {
        if (checkName(i)) |why| return refuse(i, "name", why);
        if (compile(p.pattern, &all[i])) |why| return refuse(i, "pattern", why);
    }
    return .proceed;
}

fn isCode(code: u32) bool {
    return switch (code) {
        400, 401, 403, 404, 409, 413, 422, 429, 503, 1000...3999 => true,
        else => false,
    };
}

fn refuse(i: usize, key: []const u8, why: []const u8) sluice.Verdict {
    var t: sluice.Text = .in(&reason_storage);
    t.add("patterns[");
    t.addInt(@intCast(i));
    t.add("].");
    t.add(key);
    t.add(why);
    return .deny(.invalid, t.bytes());
}

fn checkName(i: usize) ?[]const u8 {
    const name = config.patterns[i].name;
    for (name, 0..) |c, at| {
        if (!std.ascii.isLower(c) and c != '_' and (at == 0 or !std.ascii.isDigit(c)))
            return " has to be of small letters, digits and _, and to begin with no digit: metrics are counted by it";
    }
    for (0..rank_patterns + i) |rank| {
        if (std.mem.eql(u8, name, nameOf(@intCast(rank)))) return " is taken: cards, emails and each pattern need names of their own";
    }
    return null;
}

var why_storage: [256]u8 = undefined;
var tree: parse.Tree = undefined; // of the pattern being compiled

/// What is wrong with a pattern, to be said behind its key; null if nothing is.
fn compile(pattern: []const u8, out: *automaton.Automaton) ?[]const u8 {
    tree = .{ .text = pattern };
    const root = tree.parse(pattern) catch {
        var t: sluice.Text = .in(&why_storage);
        t.add(" at byte ");
        t.addInt(@intCast(tree.at));
        t.add(": ");
        t.add(tree.why);
        return t.bytes();
    };
    if (program.nullable(&tree, root)) return " matches the empty text, and so everywhere";
    out.* = .{};
    out.prog.compile(&tree, root) catch return " is too large: it may take 256 characters, repetitions counted";
    out.build() catch return " needs too many states: shorten counted repetitions, or let what is repeated differ from what follows it";
    return null;
}

fn prepareReplacements() void {
    var t: sluice.Text = .in(&escaped);
    for (&replacements, 0..) |*r, rank| {
        var text = config.replace;
        if (rank >= rank_patterns and rank - rank_patterns < config.patterns.len) text = config.patterns[rank - rank_patterns].replace orelse text;
        const from = t.len;
        t.addEscaped(text);
        r.* = t.bytes()[from..];
    }
}

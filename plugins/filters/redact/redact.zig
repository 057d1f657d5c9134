//! redact: replaces what must not be passed on, card numbers, e-mail addresses
//! and what patterns describe, in the strings of message content. README.md
//! beside this file says what it promises.

const std = @import("std");
const sluice = @import("sluice");
const cards = @import("cards.zig");
const content = @import("content.zig");
const emails = @import("emails.zig");
const settings = @import("settings.zig");

pub const panic = sluice.panic;
comptime {
    sluice.exportHooks(@This());
}

/// The longest content that is looked through. More could not be passed on, once
/// rewritten.
const max_content = sluice.max_payload;

pub fn onConfigure(e: *sluice.Event) sluice.Verdict {
    return settings.configure(e);
}

var decoded: [max_content]u8 = undefined;
var rewritten: [max_content]u8 = undefined;
var out: sluice.Text = undefined;
var copied: usize = 0; // how much of the content is in out, or replaced

pub fn onMessage(e: *sluice.Event) sluice.Verdict {
    const text = e.payload();
    if (text.len > max_content) return .deny(.too_large, "content of more than 65536 bytes cannot be looked through");
    out = .in(&rewritten);
    copied = 0;
    counts = @splat(0);
    var strings: content.Strings = .{ .text = text };
    while (strings.next()) |s| {
        const raw = text[s.begin..s.end];
        marked = false;
        mark(if (s.escaped) content.decode(raw, &decoded) else raw, s.marks);
        if (!marked) continue;
        if (settings.config.mode == .deny) {
            counts[first_rank] = 1;
            tell();
            return .deny(@fromBackingInt(@intCast(settings.config.code)), settings.config.reason);
        }
        replace(text, s);
    }
    if (copied == 0) return .proceed;
    out.add(text[copied..]);
    tell();
    if (out.full) return .deny(.too_large, "content is too long once it is redacted");
    return .rewrite(out.bytes());
}

// ---- What is found in one string ----

/// For each byte of the string, by whom it is to be replaced: the lowest rank of
/// all matches that it is in; and whether the byte before is in the same match.
var owners: [max_content + 1]u8 = undefined;
const joined: u8 = 0x80;
const nobody: u8 = 0x7F;
var marked = false;
var first_rank: u8 = 0; // who marked first

var trace: [max_content + 1]u16 = undefined; // of the automata

fn mark(text: []const u8, marks: u8) void {
    if (settings.config.cards and marks & content.digit != 0) {
        var search: cards.Search = .{ .text = text };
        while (search.next()) |m| own(text, m, settings.rank_cards);
    }
    if (settings.config.emails and marks & content.at_sign != 0) {
        var at: usize = 0;
        while (emails.next(text, at)) |m| : (at = m[1]) own(text, m, settings.rank_emails);
    }
    for (settings.automata(), 0..) |*automaton, i| {
        if (!automaton.look(text, &trace)) continue;
        var at: usize = 0;
        while (automaton.next(text, &trace, at)) |m| : (at = m[1]) own(text, m, settings.rank_patterns + @as(u8, @intCast(i)));
    }
}

fn own(text: []const u8, match: [2]usize, rank: u8) void {
    if (!marked) {
        @memset(owners[0 .. text.len + 1], nobody);
        marked = true;
        first_rank = rank;
    }
    for (owners[match[0]..match[1]], 0..) |*o, i| {
        const join = if (i > 0) joined else o.* & joined;
        o.* = @min(o.* & ~joined, rank) | join;
    }
}

// ---- What comes of it ----

/// How often a rank replaced something, or was a reason to refuse.
var counts: [settings.max_ranks]u32 = undefined;

/// Passes a string on, with replacements for what is marked.
fn replace(text: []const u8, s: content.String) void {
    var at: usize = 0; // in the decoded string
    var i = s.begin;
    while (i < s.end) {
        if (owners[at] == nobody) {
            const u = unitAt(text, s, i);
            at += u.decoded;
            i += u.raw;
            continue;
        }
        out.add(text[copied..i]);
        var rank = nobody;
        var first = true;
        while (i < s.end and (first or owners[at] & joined != 0)) : (first = false) {
            rank = @min(rank, owners[at] & ~joined);
            const u = unitAt(text, s, i);
            at += u.decoded;
            i += u.raw;
        }
        counts[rank] += 1;
        out.add(settings.replacement(rank));
        copied = i;
    }
}

fn unitAt(text: []const u8, s: content.String, i: usize) content.Unit {
    var unit: [4]u8 = undefined;
    return content.decodeUnit(text[i..s.end], &unit);
}

/// Counts what was found. That cannot be counted is no reason to fail.
fn tell() void {
    for (counts, 0..) |n, rank| {
        if (n > 0) sluice.metricAdd(settings.nameOf(@intCast(rank)), n) catch {};
    }
}

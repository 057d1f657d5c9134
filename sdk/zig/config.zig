//! Reads a filter's configuration into a struct of the filter's.
//!
//!     const Config = struct {
//!         word: []const u8,              // required: it has no default
//!         codes: []const u32 = &.{},
//!         mode: enum { deny, drop } = .deny,
//!
//!         pub const bounds = .{ .word = .{ 1, 63 } };
//!     };
//!     var storage: [256]u8 = undefined;
//!     var config: Config = undefined;
//!
//!     pub fn onConfigure(e: *sluice.Event) sluice.Verdict {
//!         var fault: sluice.config.Fault = .{};
//!         config = sluice.config.read(Config, e.payload(), &storage, &fault) catch
//!             return .deny(.invalid, fault.explain());
//!         return .proceed;
//!     }
//!
//! Fields are bool, integers, strings, enums, optionals, structs, and slices of
//! these. `bounds` says how large a number, how long a string (bytes) or how many
//! items a slice may be. Unknown keys, keys given twice and values of another
//! type are refused; the reason names the key.

const std = @import("std");
const json = @import("json.zig");
const Text = @import("text.zig").Text;

/// What is wrong with a configuration.
pub const Fault = struct {
    kind: Kind = .none,
    /// Where: `rooms[2].match`. Empty: the whole.
    path: Path = .{},
    /// What is expected there.
    wanted: []const u8 = "",
    least: i64 = 0,
    most: i64 = 0,
    unit: []const u8 = "",

    pub const Kind = enum { none, not_an_object, unknown_key, wrong_type, out_of_bounds, missing, twice, no_space, not_json };

    /// The fault in words, for `.deny(.invalid, ...)`. Kept until the next call.
    pub fn explain(f: *const Fault) []const u8 {
        var t: Text = .in(&explained);
        if (f.kind != .not_an_object and f.kind != .not_json and f.kind != .no_space) {
            if (f.kind == .unknown_key) t.add("unknown key ");
            t.add(f.path.bytes[0..f.path.len]);
        }
        switch (f.kind) {
            .none => {},
            .not_an_object => t.add("the configuration has to be a JSON object"),
            .not_json => t.add("the configuration is not JSON"),
            .no_space => t.add("the texts of the configuration take too much room together"),
            .unknown_key => {
                t.add(": known are ");
                t.add(f.wanted);
            },
            .wrong_type => {
                t.add(" has to be ");
                t.add(f.wanted);
            },
            .out_of_bounds => {
                t.add(" has to ");
                t.add(if (f.unit.len > 0) "have " else "be from ");
                t.addInt(f.least);
                t.add(" to ");
                t.addInt(f.most);
                t.add(f.unit);
            },
            .missing => t.add(" is missing"),
            .twice => t.add(" is given twice"),
        }
        return t.bytes();
    }
};
var explained: [512]u8 = undefined;

const Path = struct {
    bytes: [200]u8 = undefined,
    len: usize = 0,

    fn push(p: *Path, separator: []const u8, name: []const u8) void {
        var t: Text = .{ .storage = &p.bytes, .len = p.len };
        if (p.len > 0) t.add(separator);
        t.add(name);
        p.len = t.len;
    }
    fn pushIndex(p: *Path, i: usize) void {
        var t: Text = .{ .storage = &p.bytes, .len = p.len };
        t.addByte('[');
        t.addInt(@intCast(i));
        t.addByte(']');
        p.len = t.len;
    }
};

pub const Refused = error{Refused};

/// Reads text into a T, a struct. Strings and slices are put into storage, which
/// has to outlive it. What is wrong is in fault.
pub fn read(comptime T: type, text: []const u8, storage: []u8, fault: *Fault) Refused!T {
    fault.* = .{};
    var r: Reading = .{ .json = .in(text), .arena = .init(storage), .fault = fault };
    if ((r.json.kind() catch return r.refuse(.not_json)) != .object) return r.refuse(.not_an_object);
    const out = try r.object(T);
    if (!r.json.done()) return r.refuse(.not_json);
    return out;
}

const Reading = struct {
    json: json.Reader,
    arena: std.heap.FixedBufferAllocator,
    fault: *Fault,

    fn refuse(r: *Reading, kind: Fault.Kind) Refused {
        r.fault.kind = kind;
        return error.Refused;
    }
    fn wrongType(r: *Reading, wanted: []const u8) Refused {
        r.fault.wanted = wanted;
        return r.refuse(.wrong_type);
    }
    fn hold(r: *Reading, v: usize, least: usize, most: usize, unit: []const u8) Refused!void {
        if (v >= least and v <= most) return;
        r.fault.least = @intCast(least);
        r.fault.most = @intCast(most);
        r.fault.unit = unit;
        return r.refuse(.out_of_bounds);
    }

    fn object(r: *Reading, comptime T: type) Refused!T {
        const info = @typeInfo(T).@"struct";
        var out: T = undefined;
        var seen: [info.field_names.len]bool = @splat(false);
        inline for (info.field_names, info.field_types, info.field_attrs) |name, F, attrs| {
            if (attrs.defaultValue(F)) |v| @field(out, name) = v;
        }
        r.json.enter('{') catch return r.wrongType("an object");
        const above = r.fault.path.len;
        var first = true;
        while (r.json.another('}', first) catch return r.refuse(.not_json)) : (first = false) {
            var key_storage: [64]u8 = undefined;
            const key = r.json.key(&key_storage) catch |err| return switch (err) {
                error.Syntax => r.refuse(.not_json),
                error.NoSpaceLeft => r.unknown(T, "of more than 64 bytes"),
            };
            const known = inline for (info.field_names, info.field_types, 0..) |name, F, i| {
                if (std.mem.eql(u8, key, name)) {
                    r.fault.path.push(".", name);
                    if (seen[i]) return r.refuse(.twice);
                    seen[i] = true;
                    @field(out, name) = try r.value(F, comptime boundsOf(T, name));
                    break true;
                }
            } else false;
            if (!known) return r.unknown(T, key);
            r.fault.path.len = above;
        }
        inline for (info.field_names, info.field_attrs, 0..) |name, attrs, i| {
            if (attrs.default_value_ptr == null and !seen[i]) {
                r.fault.path.push(".", name);
                return r.refuse(.missing);
            }
        }
        return out;
    }

    fn unknown(r: *Reading, comptime T: type, key: []const u8) Refused {
        r.fault.path.push(".", key);
        r.fault.wanted = comptime commaList(@typeInfo(T).@"struct".field_names);
        return r.refuse(.unknown_key);
    }

    fn value(r: *Reading, comptime T: type, comptime bounds: ?[2]usize) Refused!T {
        switch (@typeInfo(T)) {
            .bool => return r.json.boolean() catch r.wrongType("true or false"),
            .int => return r.integer(T, bounds),
            .@"enum" => |info| {
                var storage: [64]u8 = undefined;
                const wanted = comptime "one of " ++ commaList(info.field_names);
                const word = r.json.string(&storage) catch return r.wrongType(wanted);
                inline for (info.field_names) |name| {
                    if (std.mem.eql(u8, word, name)) return @field(T, name);
                }
                return r.wrongType(wanted);
            },
            .@"struct" => return r.object(T),
            .optional => |info| {
                if ((r.json.kind() catch return r.refuse(.not_json)) != .null) return try r.value(info.child, bounds);
                r.json.nothing() catch return r.refuse(.not_json);
                return null;
            },
            .pointer => |info| {
                if (info.size != .slice) @compileError("a configuration cannot hold " ++ @typeName(T));
                return if (info.child == u8) r.string(bounds) else r.list(info.child, bounds);
            },
            else => @compileError("a configuration cannot hold " ++ @typeName(T)),
        }
    }

    fn integer(r: *Reading, comptime T: type, comptime bounds: ?[2]usize) Refused!T {
        const least: i64 = if (bounds) |b| b[0] else @max(std.math.minInt(T), std.math.minInt(i64));
        const most: i64 = if (bounds) |b| b[1] else @min(std.math.maxInt(T), std.math.maxInt(i64));
        const v = r.json.int() catch return r.wrongType("a whole number");
        if (v >= least and v <= most) return @intCast(v);
        r.fault.least = least;
        r.fault.most = most;
        return r.refuse(.out_of_bounds);
    }

    fn string(r: *Reading, comptime bounds: ?[2]usize) Refused![]const u8 {
        const rest = r.arena.buffer[r.arena.end_index..];
        const s = r.json.string(rest) catch |err| return switch (err) {
            error.Syntax => r.wrongType("a string"),
            error.NoSpaceLeft => r.refuse(.no_space),
        };
        if (bounds) |b| try r.hold(s.len, b[0], b[1], " bytes");
        r.arena.end_index += s.len;
        return s;
    }

    /// Reads the elements of an array twice: to count them, and into their place.
    fn list(r: *Reading, comptime E: type, comptime bounds: ?[2]usize) Refused![]const E {
        r.json.enter('[') catch return r.wrongType("an array");
        const n = try r.count();
        if (bounds) |b| try r.hold(n, b[0], b[1], " items");
        const out = r.arena.allocator().alloc(E, n) catch return r.refuse(.no_space);
        const above = r.fault.path.len;
        for (out, 0..) |*element, i| {
            if (!(r.json.another(']', i == 0) catch return r.refuse(.not_json))) return r.refuse(.not_json);
            r.fault.path.pushIndex(i);
            element.* = try r.value(E, null);
            r.fault.path.len = above;
        }
        _ = r.json.another(']', n == 0) catch return r.refuse(.not_json);
        return out;
    }

    /// How many elements the array has that the reader has entered.
    fn count(r: *Reading) Refused!usize {
        var depth: usize = 0;
        var commas: usize = 0;
        var any = false;
        var i = r.json.at;
        while (i < r.json.text.len) : (i += 1) {
            switch (r.json.text[i]) {
                ' ', '\t', '\n', '\r' => continue,
                '[', '{' => depth += 1,
                ']', '}' => {
                    if (depth == 0) return commas + @intFromBool(any);
                    depth -= 1;
                },
                ',' => commas += @intFromBool(depth == 0),
                '"' => {
                    i += 1;
                    while (i < r.json.text.len and r.json.text[i] != '"') : (i += 1) {
                        if (r.json.text[i] == '\\') i += 1;
                    }
                },
                else => {},
            }
            any = true;
        }
        return r.refuse(.not_json);
    }
};

fn boundsOf(comptime T: type, comptime name: []const u8) ?[2]usize {
    if (!@hasDecl(T, "bounds") or !@hasField(@TypeOf(T.bounds), name)) return null;
    const b = @field(T.bounds, name);
    return .{ b[0], b[1] };
}

fn commaList(comptime names: []const [:0]const u8) []const u8 {
    comptime {
        var out: []const u8 = "";
        for (names, 0..) |name, i| out = out ++ (if (i > 0) ", " else "") ++ name;
        return out;
    }
}

const Example = struct {
    word: []const u8,
    max: u32 = 7,
    flag: bool = false,
    mode: enum { deny, drop } = .deny,
    rooms: []const struct { match: []const u8, max: ?i16 = null } = &.{},

    pub const bounds = .{ .word = .{ 1, 5 }, .max = .{ 1, 10 }, .rooms = .{ 0, 2 } };
};

test "a configuration is read into its struct" {
    var storage: [512]u8 = undefined;
    var fault: Fault = .{};
    const c = try read(Example,
        \\ {"word":"sp\u00e9","flag":true,"mode":"drop","rooms":[{"match":"a,]"},{"max":-3,"match":"b"}]}
    , &storage, &fault);
    try std.testing.expectEqualStrings("spé", c.word);
    try std.testing.expect(c.max == 7 and c.flag and c.mode == .drop and c.rooms.len == 2);
    try std.testing.expectEqualStrings("a,]", c.rooms[0].match);
    try std.testing.expect(c.rooms[0].max == null and c.rooms[1].max.? == -3);
}

test "a fault names its key" {
    const cases = .{
        .{ "[]", "the configuration has to be a JSON object" },
        .{ "{", "the configuration is not JSON" },
        .{ "{}", "word is missing" },
        .{ "{\"wrod\":1}", "unknown key wrod: known are word, max, flag, mode, rooms" },
        .{ "{\"word\":1}", "word has to be a string" },
        .{ "{\"word\":\"\"}", "word has to have 1 to 5 bytes" },
        .{ "{\"word\":\"a\",\"word\":\"a\"}", "word is given twice" },
        .{ "{\"word\":\"a\",\"max\":11}", "max has to be from 1 to 10" },
        .{ "{\"word\":\"a\",\"max\":1.5}", "max has to be a whole number" },
        .{ "{\"word\":\"a\",\"flag\":0}", "flag has to be true or false" },
        .{ "{\"word\":\"a\",\"mode\":\"x\"}", "mode has to be one of deny, drop" },
        .{ "{\"word\":\"a\",\"rooms\":{}}", "rooms has to be an array" },
        .{ "{\"word\":\"a\",\"rooms\":[1,2,3]}", "rooms has to have 0 to 2 items" },
        .{ "{\"word\":\"a\",\"rooms\":[{\"match\":\"\"},{}]}", "rooms[1].match is missing" },
        .{ "{\"word\":\"a\",\"rooms\":[{\"x\":\"\"}]}", "unknown key rooms[0].x: known are match, max" },
        .{ "{\"word\":\"a\",\"rooms\":[{\"match\":\"\",\"max\":40000}]}", "rooms[0].max has to be from -32768 to 32767" },
        .{ "{\"word\":\"" ++ &@as([600]u8, @splat('x')) ++ "\"}", "the texts of the configuration take too much room together" },
    };
    inline for (cases) |c| {
        var storage: [512]u8 = undefined;
        var fault: Fault = .{};
        try std.testing.expectError(error.Refused, read(Example, c[0], &storage, &fault));
        try std.testing.expectEqualStrings(c[1], fault.explain());
    }
}

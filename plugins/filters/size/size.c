//go:build ignore

/* size: limits the size and the shape of message content, by room pattern.
 * README.md beside this file says what it promises. The first line keeps the Go
 * tool off: `sluice plugin build` compiles this. */
#define SLUICE_IMPLEMENTATION
#include "sluice.h"
#include "sluice_json.h"
#include "sluice_rooms.h"

enum { BYTES, DEPTH, ITEMS, STRING, LIMITS };
enum { MAX_RULES = 128, PATTERN_BYTES = 16384, MAX_NEST = 64 };
#define UNLIMITED 0xFFFFFFFFu

typedef struct {
    uint32_t max[LIMITS];
} limits;

typedef struct {
    sluice_string pattern;
    limits limits;
} rule;

static const struct {
    const char *key;
    uint32_t least, most;
} known[LIMITS] = {
    {"max_bytes", 1, 67108864},
    {"max_depth", 0, MAX_NEST},
    {"max_items", 0, 1000000},
    {"max_string", 1, 67108864},
};

/* Written by on_configure, read by on_message. */
static limits base;
static rule rules[MAX_RULES];
static uint32_t rules_count;
static char patterns[PATTERN_BYTES];
static uint32_t patterns_used;

/* The reason of the answer being given. */
static char reason_storage[SLUICE_MAX_REASON];
static sluice_text reason;

static void say(const char *text) { sluice_text_add(&reason, text); }
static void say_number(int64_t n) { sluice_text_add_int(&reason, n); }
static void begin_reason(void) { reason = sluice_text_in(reason_storage, sizeof reason_storage); }
static int32_t refuse(sluice_event *e, uint32_t code) { return sluice_deny_n(e, code, reason.ptr, reason.len); }

/* ---- Configuration ---- */

/* Where in the configuration a mistake is: "" or "rooms[2].". */
static void say_place(int32_t index) {
    if (index < 0) return;
    say("rooms[");
    say_number(index);
    say("].");
}

static int complain(int32_t index, const char *key, const char *about) {
    say_place(index);
    say(key);
    say(about);
    return 0;
}

static int read_limit(sluice_json *j, int32_t index, limits *into, int which) {
    int64_t v;
    if (into->max[which] != UNLIMITED) return complain(index, known[which].key, " is given twice");
    if (!sluice_json_int(j, &v)) {
        complain(index, known[which].key, " has to be a whole number");
    } else if (v < known[which].least || v > known[which].most) {
        complain(index, known[which].key, " is ");
        say_number(v);
        say(", and has to be");
    } else {
        into->max[which] = (uint32_t)v;
        return 1;
    }
    say(" from ");
    say_number(known[which].least);
    say(" to ");
    say_number(known[which].most);
    return 0;
}

static int read_pattern(sluice_json *j, int32_t index, rule *r) {
    static char text[SLUICE_MAX_PATTERN + 1];
    sluice_string read = {text, 0};
    const char *fault;
    if (r->pattern.len) return complain(index, "match", " is given twice");
    if (!sluice_json_string(j, text, sizeof text, &read.len)) read.len = 0; /* which is a fault */
    if ((fault = sluice_pattern_fault(read)) != NULL) return complain(index, "match ", fault);
    if (read.len > PATTERN_BYTES - patterns_used)
        return complain(-1, "rooms", ": the patterns take more than 16384 bytes together");
    r->pattern.ptr = patterns + patterns_used;
    r->pattern.len = read.len;
    for (uint32_t i = 0; i < read.len; i++) patterns[patterns_used++] = text[i];
    return 1;
}

static int limit_named(const char *key) {
    for (int i = 0; i < LIMITS; i++)
        if (sluice_is(sluice_string_of(key), known[i].key)) return i;
    return -1;
}

static int unknown_key(int32_t index, const char *key, const char *others) {
    say("unknown key ");
    say_place(index);
    say(key);
    say(": known are ");
    say(others);
    say("max_bytes, max_depth, max_items, max_string");
    return 0;
}

static int any(const limits *l) {
    int i = 0;
    while (i < LIMITS && l->max[i] == UNLIMITED) i++;
    return i < LIMITS;
}

static const limits none = {{UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED}};

static int read_rule(sluice_json *j, int32_t index) {
    static char key[64];
    rule *r = &rules[index];
    r->pattern.len = 0;
    r->limits = none;
    if (!sluice_json_enter(j, '{')) {
        say_place(index);
        reason.len--; /* the point */
        say(" has to be an object");
        return 0;
    }
    while (sluice_json_key(j, key, sizeof key)) {
        int which = limit_named(key);
        if (which >= 0) {
            if (!read_limit(j, index, &r->limits, which)) return 0;
        } else if (sluice_is(sluice_string_of(key), "match")) {
            if (!read_pattern(j, index, r)) return 0;
        } else {
            return unknown_key(index, key, "match, ");
        }
    }
    if (j->bad) return 0;
    if (!r->pattern.len) return complain(index, "match", " is missing");
    if (!any(&r->limits)) return complain(index, "match", " stands alone: the rule sets no limit");
    return 1;
}

static int read_rules(sluice_json *j) {
    if (rules_count) return complain(-1, "rooms", " is given twice");
    if (!sluice_json_enter(j, '[')) return complain(-1, "rooms", " has to be an array");
    while (sluice_json_next(j)) {
        if (rules_count == MAX_RULES) return complain(-1, "rooms", " has more than 128 rules");
        if (!read_rule(j, (int32_t)rules_count)) return 0;
        rules_count++;
    }
    return !j->bad;
}

static int read_configuration(sluice_json *j) {
    static char key[64];
    if (!sluice_json_enter(j, '{')) return 0;
    while (sluice_json_key(j, key, sizeof key)) {
        int which = limit_named(key);
        if (which >= 0) {
            if (!read_limit(j, -1, &base, which)) return 0;
        } else if (sluice_is(sluice_string_of(key), "rooms")) {
            if (!read_rules(j)) return 0;
        } else {
            return unknown_key(-1, key, "rooms, ");
        }
    }
    if (!sluice_json_done(j)) return 0;
    if (!any(&base) && rules_count == 0) {
        say("no limit is set: set max_bytes, max_depth, max_items or max_string, or rooms");
        return 0;
    }
    return 1;
}

SLUICE_ON_CONFIGURE(e) {
    sluice_json j = sluice_json_in(sluice_payload(e));
    begin_reason();
    base = none;
    rules_count = 0;
    patterns_used = 0;
    if (!read_configuration(&j)) {
        if (reason.len == 0) say("the configuration has to be a JSON object with keys of up to 63 bytes");
        return refuse(e, SLUICE_INVALID);
    }
    for (uint32_t i = 0; i < rules_count; i++) /* a rule keeps the general limits that it does not name */
        for (int k = 0; k < LIMITS; k++)
            if (rules[i].limits.max[k] == UNLIMITED) rules[i].limits.max[k] = base.max[k];
    return SLUICE_CONTINUE;
}

/* ---- Rooms ---- */

static const limits *limits_of(sluice_string room) {
    if (room.len)
        for (uint32_t i = 0; i < rules_count; i++)
            if (sluice_pattern_matches(rules[i].pattern, room)) return &rules[i].limits;
    return &base;
}

/* ---- Content ---- */

static uint32_t hex_unit(const char *p, const char *end) {
    uint32_t unit = 0;
    if (end - p < 4) return UNLIMITED;
    for (int i = 0; i < 4; i++) {
        uint32_t c = (unsigned char)p[i], digit = c - '0' < 10 ? c - '0' : (c | 32) - 'a' < 6 ? (c | 32) - 'a' + 10 : 16;
        if (digit == 16) return UNLIMITED;
        unit = unit << 4 | digit;
    }
    return unit;
}

/* Goes past the string whose opening quote is just behind *at. Returns its
 * length in bytes of UTF-8 once decoded, a lone surrogate counting as the three
 * bytes of U+FFFD; UNLIMITED where it has no end or a broken escape. */
static uint32_t string_length(const char **at, const char *end) {
    const char *p = *at;
    uint32_t saved = 0;
    while (p < end && *p != '"') {
        if (*p++ != '\\') continue;
        if (p == end) return UNLIMITED;
        if (*p++ != 'u') {
            saved += 1;
            continue;
        }
        uint32_t unit = hex_unit(p, end);
        if (unit == UNLIMITED) return UNLIMITED;
        p += 4;
        if (unit < 0x80) {
            saved += 5;
        } else if (unit < 0x800) {
            saved += 4;
        } else if (unit >= 0xD800 && unit < 0xDC00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u' &&
                   hex_unit(p + 2, end) - 0xDC00 < 0x400) {
            saved += 8;
            p += 6;
        } else {
            saved += 3;
        }
    }
    if (p == end) return UNLIMITED;
    uint32_t n = (uint32_t)(p - *at) - saved;
    *at = p + 1;
    return n;
}

static int32_t refuse_shape(sluice_event *e, const char *what, uint32_t limit, const char *unit) {
    begin_reason();
    say("content ");
    say(what);
    say(" more than ");
    say_number(limit);
    say(unit);
    say(", the limit here");
    return refuse(e, SLUICE_INVALID);
}

static int32_t refuse_malformed(sluice_event *e) { return sluice_deny(e, SLUICE_BAD_REQUEST, "content is not valid JSON"); }

static int is_scalar_byte(char c) {
    return c != ',' && c != ':' && c != ']' && c != '}' && c != '"' && c != '[' && c != '{' && (unsigned char)c > ' ';
}

/* One pass over the content. The host hands over valid JSON; whatever else
 * arrives here is passed or refused, and read no further than its end. */
static int32_t check_shape(sluice_event *e, sluice_string content, const limits *l) {
    static struct {
        char close;
        uint32_t items;
    } open[MAX_NEST];
    uint32_t depth = 0, n;
    const char *p = content.ptr, *end = p + content.len;
    while (p < end) {
        char c = *p++;
        if (c == ',' || c == ':' || (unsigned char)c <= ' ') continue;
        if (c == ']' || c == '}') {
            if (depth == 0 || open[depth - 1].close != c) return refuse_malformed(e);
            depth--;
            continue;
        }
        if (depth && open[depth - 1].close == ']' && ++open[depth - 1].items > l->max[ITEMS])
            return refuse_shape(e, "has an array of", l->max[ITEMS], " items");
        if (c == '"') {
            n = string_length(&p, end);
            if (n == UNLIMITED) return refuse_malformed(e);
            if (n > l->max[STRING]) return refuse_shape(e, "has a string of", l->max[STRING], " bytes");
        } else if (c == '[' || c == '{') {
            if (depth == l->max[DEPTH] || depth == MAX_NEST) return refuse_shape(e, "is nested", depth, " deep");
            open[depth].close = c == '[' ? ']' : '}';
            open[depth++].items = 0;
        } else {
            while (p < end && is_scalar_byte(*p)) p++;
        }
    }
    return depth == 0 ? SLUICE_CONTINUE : refuse_malformed(e);
}

SLUICE_ON_MESSAGE(e) {
    sluice_string content = sluice_payload(e);
    const limits *l = limits_of(sluice_room(e));
    if (content.len > l->max[BYTES]) {
        begin_reason();
        say("content has ");
        say_number(content.len);
        say(" bytes, the limit here is ");
        say_number(l->max[BYTES]);
        return refuse(e, SLUICE_TOO_LARGE);
    }
    if (l->max[DEPTH] == UNLIMITED && l->max[ITEMS] == UNLIMITED && l->max[STRING] == UNLIMITED) return SLUICE_CONTINUE;
    return check_shape(e, content, l);
}

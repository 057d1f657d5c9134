//go:build ignore

/* validate: holds message content to JSON Schema, by room pattern and kind of
 * message. README.md beside this file says what it promises. The first line
 * keeps the Go tool off: `sluice plugin build` compiles this.
 *
 * A message takes this way: select_rule here, tape_read (json.h), evaluate
 * (evaluate.h), and say_fault (report_fault.h) where it is refused. The schemas
 * that it is held to were made at configuration, by compile.h from the same
 * kind of tape; regex.h and number.h are what both use. */
#define SLUICE_IMPLEMENTATION
#include "sluice.h"
#include "sluice_rooms.h"

/* What runs for every message. */
#include "memory.h"
#include "bytes.h"
#include "json.h"
#include "number.h"
#include "regex.h"
#include "regex_match.h"
#include "schema.h"
#include "values.h"
#include "evaluate.h"

/* What runs at configuration, and for refusals: small before fast. */
#ifdef __clang__
#pragma clang attribute push(__attribute__((minsize)), apply_to = function)
#endif
#include "unicode.h"
#include "regex_sets.h"
#include "regex_parse.h"
#include "regex_compile.h"
#include "report.h"
#include "uri.h"
#include "resolve.h"
#include "compile.h"
#include "compile_keywords.h"
#include "report_fault.h"

enum { MAX_RULES = 128, MAX_CONTENT = 4 << 20, USUAL_CONTENT = 64 << 10 };
enum { ROOM = 1 << SLUICE_KIND_ROOM, BROADCAST = 1 << SLUICE_KIND_BROADCAST, DIRECT = 1 << SLUICE_KIND_DIRECT };

typedef struct {
    uint32_t kinds;
    sluice_string *rooms; /* of room messages; none: all */
    uint32_t rooms_count;
    const schema *schema;
    uint32_t needs; /* NEEDS_... */
} rule;

/* Written by on_configure, read by on_message. */
static rule rules[MAX_RULES + 1];
static uint32_t rules_count;
static int deny_others;

static int32_t refuse(sluice_event *e, uint32_t code) { return sluice_deny_n(e, code, reason.ptr, reason.len); }

/* ---- Configuration ---- */

static int key_is(const node *key, const char *text) {
    sluice_string s = {key->at, key->len};
    return sluice_is(s, text);
}

static void read_room(rule *r, const node *v) {
    sluice_string pattern = {v->at, v->type == T_STRING ? v->len : 0}; /* an empty one is a fault */
    const char *fault = sluice_pattern_fault(pattern);
    if (fault) {
        bad(v, fault);
        return;
    }
    r->rooms[r->rooms_count].ptr = keep_bytes(v->at, v->len);
    r->rooms[r->rooms_count++].len = v->len;
}

static void read_rooms(rule *r, const node *v) {
    const node *child = v + 1;
    if (v->type != T_ARRAY || v->tag == 0) {
        bad(v, "has to be an array of room patterns that is not empty");
        return;
    }
    if ((r->rooms = (sluice_string *)many(v->tag, sizeof *r->rooms)) == NULL) return;
    for (uint32_t i = 0; i < v->tag && !config_bad; i++, child += child->span) read_room(r, child);
}

static void read_kinds(rule *r, const node *v) {
    const node *child = v + 1;
    if (v->type != T_ARRAY || v->tag == 0) {
        bad(v, "has to be an array of room, broadcast, direct that is not empty");
        return;
    }
    for (uint32_t i = 0; i < v->tag && !config_bad; i++, child += child->span) {
        uint32_t kind = child->type != T_STRING ? 0 : key_is(child, "room") ? ROOM : key_is(child, "broadcast") ? BROADCAST : key_is(child, "direct") ? DIRECT : 0;
        if (!kind) bad(child, "has to be room, broadcast or direct");
        r->kinds |= kind;
    }
}

static void compile_rule(rule *r, const node *v) {
    r->schema = compile_document(v);
    r->needs = needs;
}

static void add_rule(const node *v) {
    rule *r = &rules[rules_count++];
    const node *key = v + 1, *kinds = NULL, *schema_ = NULL;
    if (v->type != T_OBJECT) {
        bad(v, "has to be an object");
        return;
    }
    for (uint32_t i = 0; i < v->tag && !config_bad; i++, key += 1 + key[1].span) {
        if (key_is(key, "rooms"))
            read_rooms(r, key + 1);
        else if (key_is(key, "kinds"))
            read_kinds(r, kinds = key + 1);
        else if (key_is(key, "schema"))
            schema_ = key + 1;
        else
            bad(key, "is not a key of a rule: rooms, kinds and schema are");
    }
    if (config_bad) return;
    if (!kinds) r->kinds = r->rooms ? ROOM : ROOM | BROADCAST | DIRECT;
    if (r->rooms && !(r->kinds & ROOM)) bad(kinds, "lacks room, and the rule has rooms, which only room messages have");
    if (!schema_)
        bad(v, "has no schema");
    else
        compile_rule(r, schema_);
}

static void read_rules(const node *v) {
    const node *child = v + 1;
    if (v->type != T_ARRAY) bad(v, "has to be an array of rules");
    if (v->tag > MAX_RULES) bad(v, "has more than 128 rules");
    for (uint32_t i = 0; !config_bad && i < v->tag; i++, child += child->span) add_rule(child);
}

static void read_configuration(const node *root) {
    const node *key = root + 1, *rules_ = NULL, *schema_ = NULL, *otherwise = NULL;
    if (root->type != T_OBJECT) {
        bad(root, "has to be a JSON object");
        return;
    }
    for (uint32_t i = 0; i < root->tag; i++, key += 1 + key[1].span) {
        if (key_is(key, "rules"))
            rules_ = key + 1;
        else if (key_is(key, "schema"))
            schema_ = key + 1;
        else if (key_is(key, "otherwise"))
            otherwise = key + 1;
        else
            bad(key, "is not a key of this filter: rules, schema and otherwise are");
    }
    if (config_bad) return;
    if (!schema_ && (!rules_ || (rules_->type == T_ARRAY && rules_->tag == 0))) {
        bad(root, "has no schema: set schema, or rules with one each");
        return;
    }
    if (otherwise && (schema_ || otherwise->type != T_STRING || !(key_is(otherwise, "pass") || key_is(otherwise, "deny"))))
        bad(otherwise, schema_ ? "does not go with schema, which already holds for what no rule matches" : "has to be pass or deny");
    deny_others = otherwise && key_is(otherwise, "deny");
    if (rules_) read_rules(rules_);
    if (schema_ && !config_bad) {
        rules[rules_count].kinds = ROOM | BROADCAST | DIRECT;
        compile_rule(&rules[rules_count++], schema_);
    }
}

/* What compiling takes for each node of the configuration, and for what member_of keeps. */
static int reserve_for_compiling(const tape *t) {
    uint32_t wide_ = t->count < 131072 ? t->count * 4 : 524288;
    if (!scratch_reserve(t->count * (uint32_t)(sizeof *compiled + sizeof *base_of) + wide_ * (uint32_t)sizeof(node *) + 64)) return 0;
    compiled = (schema **)scratch_clear(t->count * (uint32_t)sizeof *compiled);
    base_of = (uint16_t *)scratch_clear(t->count * (uint32_t)sizeof *base_of);
    return compiled && base_of;
}

static void configure_from(sluice_string text) {
    tape t;
    int result = tape_read(&t, (char *)(uintptr_t)text.ptr, text.len);
    config_root = t.root;
    if (result == JSON_OK && reserve_for_compiling(&t)) {
        keywords_begin();
        read_configuration(t.root);
        return;
    }
    if (result == JSON_DUPLICATE) {
        bad(t.culprit, "this key is there twice in one object");
    } else if (result == JSON_EXPONENT) {
        bad(t.culprit, "a number has an exponent of more than 15 digits");
    } else {
        begin_reason();
        say(result == JSON_MALFORMED || result == JSON_TOO_DEEP ? "the configuration has to be a JSON object"
                                                               : "the configuration needs more memory than the filter may have: raise limits.memory");
        config_bad = 1;
    }
}

static int reserve_for_message(uint32_t nodes, uint32_t needs_) {
    return scratch_reserve(nodes * scratch_per_node(needs_) + 4096) && (!(needs_ & NEEDS_TRIALS) || tried_reserve(nodes));
}

/* Takes the memory for messages of the usual limit now: growing while a message
 * waits could cost it its time. */
static void reserve_for_messages(void) {
    tape t;
    uint32_t all = 0;
    for (uint32_t i = 0; i < rules_count; i++) all |= rules[i].needs;
    if (rx_region.size > scratch.size) { /* no pattern is compiled any more */
        scratch = rx_region;
        rx_region.size = 0;
    }
    if (!tape_begin(&t, USUAL_CONTENT) || !reserve_for_message(USUAL_CONTENT / 2, all)) no_memory();
}

SLUICE_ON_CONFIGURE(e) {
    hash_seed = hash_mix((uint64_t)e->time_ns, 0x5DEECE66Du);
    rules_count = 0;
    config_bad = 0;
    wide.object = NULL;
    wide.size = 0;
    for (uint32_t i = 0; i <= MAX_RULES; i++) rules[i].kinds = rules[i].rooms_count = 0, rules[i].rooms = NULL;
    configure_from(sluice_payload(e));
    if (!config_bad) reserve_for_messages();
    return config_bad ? refuse(e, SLUICE_INVALID) : SLUICE_CONTINUE;
}

#ifdef __clang__
#pragma clang attribute pop
#endif

/* ---- Messages ---- */

static int rule_matches(const rule *r, const sluice_event *e) {
    sluice_string room = sluice_room(e);
    if (!(r->kinds >> (e->kind & 31) & 1)) return 0;
    if (e->kind != SLUICE_KIND_ROOM || !r->rooms_count) return 1;
    for (uint32_t i = 0; i < r->rooms_count; i++)
        if (sluice_pattern_matches(r->rooms[i], room)) return 1;
    return 0;
}

static const rule *select_rule(const sluice_event *e) {
    for (uint32_t i = 0; i < rules_count; i++)
        if (rule_matches(&rules[i], e)) return &rules[i];
    return NULL;
}

/* Refuses content that no schema was held against. */
static int32_t refuse_unread(sluice_event *e, const tape *t, int result) {
    switch (result) {
    case JSON_MALFORMED: return sluice_deny(e, SLUICE_BAD_REQUEST, "content is not valid JSON");
    case JSON_TOO_DEEP: return sluice_deny(e, SLUICE_INVALID, "content is nested more than 64 deep");
    case JSON_NO_MEMORY: return sluice_deny(e, SLUICE_TOO_LARGE, "content is larger than the filter has memory for");
    }
    begin_reason();
    say_path(t->root, t->culprit);
    say(reason.len ? "" : "content");
    say(result == JSON_DUPLICATE ? ": this key is there twice in one object" : ": the number has an exponent of more than 15 digits");
    return refuse(e, SLUICE_INVALID);
}

/* Refuses content that would take the host's time to be held against its schema. */
static int32_t refuse_costly(sluice_event *e, uint32_t bytes) {
    begin_reason();
    say(gave_up == PATTERN_TOO_COSTLY ? "content: a pattern of its schema takes" : "content: too costly to check against its schema: it takes");
    say(" more than ");
    say_number(steps_for(bytes));
    say(" steps");
    return refuse(e, SLUICE_INVALID);
}

SLUICE_ON_MESSAGE(e) {
    static tape t;
    const rule *r = select_rule(e);
    sluice_string content = sluice_payload(e);
    int result;
    if (!r) return deny_others ? sluice_deny(e, SLUICE_INVALID, "no schema allows messages here") : SLUICE_CONTINUE;
    result = content.len > MAX_CONTENT ? JSON_NO_MEMORY : tape_read(&t, (char *)(uintptr_t)content.ptr, content.len);
    if (result == JSON_OK && !reserve_for_message(t.count, r->needs)) result = JSON_NO_MEMORY;
    if (result != JSON_OK) return refuse_unread(e, &t, result);
    if (evaluate_message(r->schema, t.root, content.len)) return SLUICE_CONTINUE;
    if (gave_up == TOO_DEEP) return sluice_deny(e, SLUICE_INVALID, "content: references and combinations of its schema nest too deep with it");
    if (gave_up) return refuse_costly(e, content.len);
    say_fault(t.root);
    return refuse(e, SLUICE_INVALID);
}

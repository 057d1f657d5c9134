/* resolve.h: which schemas a document has, and which one a $ref means.
 *
 * Before a schema is compiled, one walk over its document notes each schema
 * that has an $id (it begins a resource, with a base URI of its own) or an
 * anchor. References are then resolved within the document alone. */
#ifndef VALIDATE_RESOLVE_H
#define VALIDATE_RESOLVE_H

enum { MAX_RESOURCES = 500, MAX_ANCHORS = 4000, KEYWORD_SLOTS = 128 };

/* The document being compiled. */
static const node *config_root;
static uint32_t draft; /* DRAFT_2020 or DRAFT_7 */
static struct {
    part uri;
    const node *root;
} resources[MAX_RESOURCES];
static struct {
    part name;
    uint32_t resource;
    const node *at;
} anchors[MAX_ANCHORS];
static uint32_t resources_count, anchors_count;
static uint32_t needs; /* of scratch space, when a message is held against it: NEEDS_... */
static uint16_t *base_of; /* by node: its resource + 1; 0: it was not met as a schema */

/* ---- Mistakes ---- */

static int config_bad;

/* Begins the reason with the place in the configuration; 0 where there is one already. */
static int blame(const node *where) {
    if (config_bad) return 0;
    config_bad = 1;
    begin_reason();
    say_path(config_root, where);
    say(reason.len ? ": " : "the configuration ");
    return 1;
}
static int bad(const node *where, const char *cause) {
    if (blame(where)) say(cause);
    return 0;
}
static int no_memory(void) { return bad(config_root, "needs more memory than the filter may have: raise limits.memory"); }

static const char *keep_bytes(const char *p, uint32_t n) {
    char *to = (char *)arena(n + 1);
    if (!to) {
        no_memory();
        return "";
    }
    for (uint32_t i = 0; i < n; i++) to[i] = p[i];
    return to;
}

/* ---- Keywords ---- */

static uint8_t keyword_slots[KEYWORD_SLOTS];

static void keywords_begin(void) {
    for (uint32_t i = 0; i < KEYWORD_SLOTS; i++) keyword_slots[i] = 0;
    for (uint32_t k = 1; k < K_COUNT; k++) {
        uint32_t slot = hash_bytes(keywords[k].name, sluice_length(keywords[k].name)) % KEYWORD_SLOTS;
        while (keyword_slots[slot]) slot = (slot + 1) % KEYWORD_SLOTS;
        keyword_slots[slot] = (uint8_t)k;
    }
}

static uint32_t keyword_of(const node *key) {
    uint32_t slot = key->tag % KEYWORD_SLOTS;
    for (; keyword_slots[slot]; slot = (slot + 1) % KEYWORD_SLOTS) {
        sluice_string s = {key->at, key->len};
        if (sluice_is(s, keywords[keyword_slots[slot]].name)) return keyword_slots[slot];
    }
    return K_NONE;
}

/* The value of a keyword in a schema; NULL where there is none. */
static const node *keyword_value(const node *object, uint32_t keyword) {
    const char *name = keywords[keyword].name;
    uint32_t n = sluice_length(name);
    return object->type == T_OBJECT ? member(object, name, n, hash_bytes(name, n)) : NULL;
}

/* ---- The document's schemas ---- */

static int same_part(part a, part b) { return a.len == b.len && same_bytes(a.at, b.at, a.len); }

static int find_resource(part uri_) {
    for (uint32_t i = 0; i < resources_count; i++)
        if (same_part(resources[i].uri, uri_)) return (int)i;
    return -1;
}

static void add_anchor(const node *where, part name_, uint32_t resource, const node *schema_) {
    for (uint32_t i = 0; i < anchors_count; i++)
        if (anchors[i].resource == resource && same_part(anchors[i].name, name_)) {
            bad(where, "the same name is given twice");
            return;
        }
    if (anchors_count == MAX_ANCHORS) {
        bad(where, "the schema has more than 4000 anchors");
        return;
    }
    anchors[anchors_count].name = name_;
    anchors[anchors_count].resource = resource;
    anchors[anchors_count++].at = schema_;
}

static char uri_storage[MAX_URI];

/* The reference, without fragment, as an absolute URI; at NULL: it is too long. */
static part absolute(part base, part reference) {
    sluice_text t = sluice_text_in(uri_storage, MAX_URI);
    part p;
    uri_resolve(&t, base, reference);
    p.at = t.len < MAX_URI && t.cap == MAX_URI ? t.ptr : NULL;
    p.len = t.len;
    return p;
}

/* Notes what $id says about a schema whose surroundings are in base. Returns its resource. */
static uint32_t index_id(const node *s, const node *id, uint32_t base) {
    const char *hash = find_any(id->at, id->at + id->len, "#");
    uint32_t before = (uint32_t)(hash - id->at);
    part reference = part_of(id->at, hash), full;
    if (id->type != T_STRING) return (uint32_t)bad(id, "has to be a string");
    if (before + 1 < id->len) {
        if (draft == DRAFT_2020) return (uint32_t)bad(id, "has a fragment, which 2020-12 does not allow: use $anchor");
        if (before > 0) return (uint32_t)bad(id, "has both a URI and a fragment");
        add_anchor(id, part_of(hash + 1, id->at + id->len), base, s);
        return base;
    }
    if (before == 0) return base;
    full = absolute(resources[base].uri, reference);
    if (!full.at) return (uint32_t)bad(id, "is too long a URI");
    if (s == resources[0].root) {
        resources[0].uri.at = keep_bytes(full.at, full.len);
        resources[0].uri.len = full.len;
        return 0;
    }
    if (find_resource(full) >= 0) return (uint32_t)bad(id, "is used twice");
    if (resources_count == MAX_RESOURCES) return (uint32_t)bad(id, "the schema has more than 500 $id");
    resources[resources_count].uri.at = keep_bytes(full.at, full.len);
    resources[resources_count].uri.len = full.len;
    resources[resources_count].root = s;
    return resources_count++;
}

/* The draft that a $schema names; 0: none that is known. */
static uint32_t draft_named(const node *v) {
    static const char current[] = "https://json-schema.org/draft/2020-12/schema", seven[] = "json-schema.org/draft-07/schema";
    sluice_string s = {v->at, v->len};
    if (v->type != T_STRING) return 0;
    if (s.len && s.ptr[s.len - 1] == '#') s.len--;
    if (sluice_is(s, current)) return DRAFT_2020;
    for (uint32_t i = 0; i < 2 && s.len > 8; i++) {
        const char *scheme = i ? "https://" : "http://";
        uint32_t n = sluice_length(scheme);
        sluice_string rest = {s.ptr + n, s.len - n};
        if (same_bytes(s.ptr, scheme, n) && sluice_is(rest, seven)) return DRAFT_7;
    }
    return 0;
}

static void index_schema(const node *s, uint32_t base);

static void index_inside(uint32_t holds, const node *v, uint32_t base) {
    const node *child = v + 1;
    if (holds == HOLDS_ITEMS) holds = v->type == T_ARRAY ? HOLDS_LIST : HOLDS_ONE;
    if (holds == HOLDS_ONE) {
        index_schema(v, base);
    } else if ((holds == HOLDS_LIST && v->type == T_ARRAY) || (holds == HOLDS_MAP && v->type == T_OBJECT)) {
        for (uint32_t i = 0; i < v->tag; i++, child += child->span) {
            child += holds == HOLDS_MAP;
            index_schema(child, base);
        }
    }
}

/* Notes a schema and those within it. Whether they are well-formed is looked at later. */
static void index_schema(const node *s, uint32_t base) {
    const node *v, *key = s + 1;
    if (s->type != T_OBJECT || config_bad) return;
    if ((v = keyword_value(s, K_SCHEMA)) != NULL && s != resources[0].root && draft_named(v) != draft) {
        bad(v, "differs from the whole document's: one dialect for all of it, please");
        return;
    }
    if (draft == DRAFT_2020 || !keyword_value(s, K_REF)) { /* in draft-07 $ref hides what is beside it */
        if ((v = keyword_value(s, K_ID)) != NULL) base = index_id(s, v, base);
        if (draft == DRAFT_2020 && (v = keyword_value(s, K_ANCHOR)) != NULL) {
            if (v->type != T_STRING || v->len == 0) {
                bad(v, "has to be a name");
                return;
            }
            add_anchor(v, part_of(v->at, v->at + v->len), base, s);
        }
    }
    base_of[s - config_root] = (uint16_t)(base + 1);
    for (uint32_t k = K_DYNAMIC_REF; draft == DRAFT_2020 && k <= K_DYNAMIC_ANCHOR; k++)
        if ((v = keyword_value(s, k)) != NULL && blame(v)) {
            say("the keyword ");
            say(keywords[k].name);
            say(" is not supported");
        }
    for (uint32_t i = 0; i < s->tag; i++, key += 1 + key[1].span) {
        uint32_t k = keyword_of(key);
        if (keywords[k].holds && keywords[k].drafts & draft) index_inside(keywords[k].holds, key + 1, base);
    }
}

/* ---- References ---- */

/* The last object with many members that a pointer went through, by hash. */
static struct {
    const node *object;
    const node **slots;
    uint32_t size, taken;
} wide;

static const node *member_of(const node *object, const char *key, uint32_t len) {
    uint32_t hash = hash_bytes(key, len), slot, used = scratch_used;
    const node *k = object + 1;
    if (object->tag <= 32) return member(object, key, len, hash);
    if (wide.object != object) {
        uint32_t size = table_size(object->tag);
        if (wide.size < size) {
            const node **slots = (const node **)scratch_take(size * (uint32_t)sizeof *slots);
            if (!slots) return member(object, key, len, hash);
            wide.slots = slots;
            wide.size = size;
            used = scratch_used;
        }
        for (uint32_t i = 0; i < wide.size; i++) wide.slots[i] = NULL;
        for (uint32_t i = 0; i < object->tag; i++, k += 1 + k[1].span) {
            for (slot = k->tag & (wide.size - 1); wide.slots[slot]; slot = (slot + 1) & (wide.size - 1)) {}
            wide.slots[slot] = k;
        }
        wide.object = object;
    }
    scratch_used = used;
    for (slot = hash & (wide.size - 1); (k = wide.slots[slot]) != NULL; slot = (slot + 1) & (wide.size - 1))
        if (k->tag == hash && k->len == len && same_bytes(k->at, key, len)) return k + 1;
    return NULL;
}

/* An index of an array; -1 where it is none. */
static int64_t array_index(const char *p, uint32_t n) {
    int64_t v = 0;
    if (n == 0 || n > 9 || (n > 1 && *p == '0')) return -1;
    for (; n; n--, p++) {
        if ((uint8_t)(*p - '0') > 9) return -1;
        v = v * 10 + (*p - '0');
    }
    return v;
}

/* One step of a JSON pointer; NULL where it leads nowhere. */
static const node *step_into(const node *at, char *p, uint32_t n) {
    uint32_t len = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (p[i] == '~' && i + 1 < n && (p[i + 1] == '0' || p[i + 1] == '1'))
            p[len++] = p[++i] == '0' ? '~' : '/';
        else
            p[len++] = p[i];
    }
    if (at->type == T_OBJECT) return member_of(at, p, len);
    if (at->type == T_ARRAY) {
        int64_t i = array_index(p, len);
        if (i < 0 || i >= at->tag) return NULL;
        for (at++; i; i--) at += at->span;
        return at;
    }
    return NULL;
}

static const node *follow_pointer(const node *at, char *p, uint32_t n, uint32_t *base) {
    for (uint32_t i = 0; i < n && at;) { /* p[i] is a slash */
        uint32_t from = ++i;
        while (i < n && p[i] != '/') i++;
        at = step_into(at, p + from, i - from);
        if (at && base_of[at - config_root]) *base = base_of[at - config_root] - 1u;
    }
    return at;
}

/* What v, the value of a $ref in a schema of resource *base, refers to; *base
 * becomes the target's. NULL: it was refused. */
static const node *resolve(const node *v, uint32_t *base) {
    static char fragment[MAX_URI];
    const char *end = v->at + v->len, *hash;
    const node *target;
    part full;
    int found;
    uint32_t n = 0;
    if (v->type != T_STRING) {
        bad(v, "has to be a string");
        return NULL;
    }
    hash = find_any(v->at, end, "#");
    full = absolute(resources[*base].uri, part_of(v->at, hash));
    if (!full.at || end - hash > MAX_URI) {
        bad(v, "is longer than 2048 bytes");
        return NULL;
    }
    found = find_resource(full);
    if (found < 0) {
        if (blame(v)) {
            say("remote references are refused, and ");
            say_text(full.at, full.len, 200);
            say(" is not part of this schema");
        }
        return NULL;
    }
    *base = (uint32_t)found;
    target = resources[found].root;
    if (hash < end) n = percent_decode(fragment, hash + 1, (uint32_t)(end - hash - 1));
    if (n && fragment[0] == '/') {
        target = follow_pointer(target, fragment, n, base);
    } else if (n) {
        part wanted = part_of(fragment, fragment + n);
        target = NULL;
        for (uint32_t i = 0; i < anchors_count && !target; i++)
            if (anchors[i].resource == *base && same_part(anchors[i].name, wanted)) target = anchors[i].at;
    }
    if (!target && blame(v)) {
        say("nothing is at ");
        say_text(v->at, v->len, 200);
    }
    return target;
}

#endif

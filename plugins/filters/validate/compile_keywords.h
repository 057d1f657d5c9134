/* compile_keywords.h: what each keyword puts into a compiled schema, and which
 * values it may have. */
#ifndef VALIDATE_COMPILE_KEYWORDS_H
#define VALIDATE_COMPILE_KEYWORDS_H

#define GROUP(s, field, type) ((type *)group((void **)&(s)->field, sizeof(type)))

/* ---- type, enum, const ---- */

static void compile_type_name(schema *s, const node *v) {
    static const struct {
        const char *name;
        uint8_t bits;
    } types[] = {{"null", 1 << T_NULL}, {"boolean", 1 << T_BOOL}, {"number", 1 << T_NUMBER}, {"string", 1 << T_STRING},
        {"array", 1 << T_ARRAY}, {"object", 1 << T_OBJECT}, {"integer", INTEGER_BIT}};
    sluice_string text = {v->at, v->len};
    for (uint32_t i = 0; i < 7 && v->type == T_STRING; i++)
        if (sluice_is(text, types[i].name)) {
            s->types |= types[i].bits;
            return;
        }
    bad(v, "has to be null, boolean, integer, number, string, array or object");
}

static void compile_type(schema *s, const node *v) {
    const node *child = v + 1;
    s->types = 0;
    if (v->type != T_ARRAY) {
        compile_type_name(s, v);
    } else {
        if (v->tag == 0) bad(v, "must not be empty");
        for (uint32_t i = 0; i < v->tag; i++, child++) compile_type_name(s, child);
    }
    if (s->types & 1 << T_NUMBER) s->types &= (uint8_t)~INTEGER_BIT;
    if (s->types & INTEGER_BIT) s->types |= 1 << T_NUMBER;
}

static void compile_enum(schema *s, const node *v) {
    value_checks *c = GROUP(s, values, value_checks);
    const node *child = v + 1, **at;
    c->keyword = K_ENUM;
    if (v->type != T_ARRAY) {
        bad(v, "has to be an array");
        return;
    }
    if ((at = (const node **)many(v->tag, sizeof *at)) == NULL) return;
    c->at = at;
    for (; c->n < v->tag && !config_bad; child += child->span) at[c->n++] = keep_value(child);
    if (c->n <= 8 || config_bad) return;
    c->mask = table_size(c->n) - 1;
    if ((c->slots = (uint32_t *)many(c->mask + 1, sizeof *c->slots)) == NULL) return;
    for (uint32_t i = 0; i < c->n; i++) {
        uint32_t slot = value_hash(at[i]) & c->mask;
        while (c->slots[slot]) slot = (slot + 1) & c->mask;
        c->slots[slot] = i + 1;
    }
}

static void compile_const(schema *s, const node *v) {
    value_checks *c = GROUP(s, constant, value_checks);
    const node **at = (const node **)many(1, sizeof *at);
    if (!at) return;
    at[0] = keep_value(v);
    c->at = at;
    c->n = 1;
    c->keyword = K_CONST;
}

/* ---- Numbers, strings ---- */

static void compile_number(schema *s, uint32_t k, const node *v) {
    number_checks *c = GROUP(s, number, number_checks);
    number n;
    if (!want_number(v, &n)) return;
    number_widen(&n);
    switch (k) {
    case K_MAXIMUM: c->maximum = n; break;
    case K_MINIMUM: c->minimum = n; break;
    case K_EXCLUSIVE_MAXIMUM: c->below = n; break;
    case K_EXCLUSIVE_MINIMUM: c->above = n; break;
    default:
        if (number_sign(&n) <= 0) {
            bad(v, "has to be more than 0");
        } else if (!divisor_of(&c->step, &n)) {
            bad(v, "has more than 18 significant digits");
        } else {
            c->step_text = n.text;
            c->step_len = n.len;
        }
    }
}

static void compile_string(schema *s, uint32_t k, const node *v) {
    int fresh = s->string == NULL;
    string_checks *c = GROUP(s, string, string_checks);
    if (fresh) c->max = UNLIMITED;
    if (k == K_MAX_LENGTH) c->max = want_count(v);
    if (k == K_MIN_LENGTH) c->min = want_count(v);
    if (k == K_PATTERN) c->pattern = want_pattern(v, v);
}

/* ---- Arrays ---- */

static array_checks *array_of(schema *s) {
    int fresh = s->array == NULL;
    array_checks *c = GROUP(s, array, array_checks);
    if (fresh) {
        c->max = c->max_contains = UNLIMITED;
        c->min_contains = 1;
    }
    return c;
}

static void compile_items(schema *s, const node *v) {
    array_checks *c = array_of(s);
    const node *more;
    if (v->type == T_ARRAY && draft == DRAFT_2020) {
        bad(v, "is an array: in 2020-12 that keyword is prefixItems (set $schema if this is draft-07)");
    } else if (v->type == T_ARRAY) {
        if (v->tag) c->prefix = want_list(v, s->resource);
        if ((more = keyword_value(s->source, K_ADDITIONAL_ITEMS)) != NULL) {
            c->items = schema_at(more, s->resource);
            c->items_keyword = K_ADDITIONAL_ITEMS;
        }
    } else {
        c->items = schema_at(v, s->resource);
        c->items_keyword = K_ITEMS;
    }
}

static void compile_array(schema *s, uint32_t k, const node *v) {
    array_checks *c = array_of(s);
    switch (k) {
    case K_MAX_ITEMS: c->max = want_count(v); break;
    case K_MIN_ITEMS: c->min = want_count(v); break;
    case K_MAX_CONTAINS: c->max_contains = want_count(v); break;
    case K_MIN_CONTAINS: c->min_contains = want_count(v); break;
    case K_CONTAINS:
        c->contains = schema_at(v, s->resource);
        needs |= NEEDS_TRIALS;
        break;
    case K_PREFIX_ITEMS: c->prefix = want_list(v, s->resource); break;
    case K_ADDITIONAL_ITEMS: /* of use beside items that are an array: see there */
        if (v->type != T_OBJECT && v->type != T_BOOL) bad(v, "a schema has to be an object or a boolean");
        break;
    default:
        if (v->type != T_BOOL) bad(v, "has to be true or false");
        c->unique = v->is_true;
        if (c->unique) needs |= NEEDS_ITEMS;
    }
}

/* ---- Objects ---- */

static object_checks *object_of(schema *s) {
    static const uint8_t naming[] = {K_PROPERTIES, K_REQUIRED, K_DEPENDENT_REQUIRED, K_DEPENDENT_SCHEMAS, K_DEPENDENCIES};
    object_checks *c = s->object;
    uint32_t most = 0;
    if (c) return c;
    c = GROUP(s, object, object_checks);
    c->max = UNLIMITED;
    for (uint32_t i = 0; i < sizeof naming; i++) {
        const node *v = keyword_value(s->source, naming[i]);
        if (v && (v->type == T_OBJECT || v->type == T_ARRAY)) most += v->tag;
    }
    if (most == 0) return c;
    c->mask = table_size(most) - 1;
    c->properties = (property *)many(most, sizeof *c->properties);
    c->slots = (uint32_t *)many(c->mask + 1, sizeof *c->slots);
    return c;
}

static name keep_name(const node *v) {
    name n;
    n.at = keep_bytes(v->at, v->len);
    n.len = v->len;
    n.hash = hash_bytes(v->at, v->len);
    return n;
}

/* What the schema says about the property: a new entry unless there is one. */
static property *property_named(object_checks *c, const node *v) {
    static property nowhere;
    uint32_t hash, slot;
    property *p;
    if (config_bad) return &nowhere;
    hash = hash_bytes(v->at, v->len);
    if ((p = find_property(c, v->at, v->len, hash)) != NULL) return p;
    for (slot = hash & c->mask; c->slots[slot]; slot = (slot + 1) & c->mask) {}
    p = &c->properties[c->properties_count++];
    c->slots[slot] = c->properties_count;
    p->name = keep_name(v);
    return p;
}

static int all_strings(const node *v) {
    const node *child = v + 1;
    if (v->type != T_ARRAY) return bad(v, "has to be an array of strings");
    for (uint32_t i = 0; i < v->tag; i++, child += child->span)
        if (child->type != T_STRING) return bad(child, "has to be a string");
    return 1;
}

static void compile_required(object_checks *c, const node *v) {
    if (!all_strings(v)) return;
    for (uint32_t i = 0; i < v->tag; i++) {
        property *p = property_named(c, v + 1 + i);
        if (!p->required) c->required++;
        p->required = 1;
    }
}

static void compile_needs(property *p, const node *v, uint32_t k) {
    name *needs;
    if (!all_strings(v) || v->tag == 0 || (needs = (name *)many(v->tag, sizeof *needs)) == NULL) return;
    for (uint32_t i = 0; i < v->tag; i++) needs[i] = keep_name(v + 1 + i);
    p->needs = needs;
    p->needs_count = v->tag;
    p->needs_keyword = (uint8_t)k;
}

static void compile_named(schema *s, uint32_t k, const node *v) {
    object_checks *c = object_of(s);
    const node *key = v + 1;
    if (v->type != T_OBJECT) {
        bad(v, "has to be an object");
        return;
    }
    for (uint32_t i = 0; i < v->tag && !config_bad; i++, key += 1 + key[1].span) {
        property *p = property_named(c, key);
        if (k == K_PROPERTIES) {
            p->sub = schema_at(key + 1, s->resource);
        } else if (k == K_DEPENDENT_REQUIRED || (k == K_DEPENDENCIES && key[1].type == T_ARRAY)) {
            compile_needs(p, key + 1, k);
        } else {
            p->then = schema_at(key + 1, s->resource);
            p->then_keyword = (uint8_t)k;
        }
    }
}

static void compile_patterns(schema *s, const node *v) {
    object_checks *c = object_of(s);
    const node *key = v + 1;
    if (v->type != T_OBJECT) {
        bad(v, "has to be an object");
        return;
    }
    if ((c->patterns = (pattern_property *)many(v->tag, sizeof *c->patterns)) == NULL) return;
    for (uint32_t i = 0; i < v->tag && !config_bad; i++, key += 1 + key[1].span) {
        c->patterns[i].pattern = want_pattern(key, key);
        c->patterns[i].sub = schema_at(key + 1, s->resource);
        c->patterns_count++;
    }
}

static void compile_object(schema *s, uint32_t k, const node *v) {
    object_checks *c = object_of(s);
    switch (k) {
    case K_MAX_PROPERTIES: c->max = want_count(v); break;
    case K_MIN_PROPERTIES: c->min = want_count(v); break;
    case K_REQUIRED: compile_required(c, v); break;
    case K_ADDITIONAL_PROPERTIES: c->additional = schema_at(v, s->resource); break;
    case K_PROPERTY_NAMES: c->names = schema_at(v, s->resource); break;
    case K_PATTERN_PROPERTIES: compile_patterns(s, v); break;
    default: compile_named(s, k, v);
    }
}

/* ---- Combinations, references ---- */

static void compile_logic(schema *s, uint32_t k, const node *v) {
    logic_checks *l = GROUP(s, logic, logic_checks);
    uint32_t resource = s->resource;
    const node *target;
    needs |= NEEDS_TRIALS;
    switch (k) {
    case K_ALL_OF: l->all = want_list(v, resource); break;
    case K_ANY_OF: l->any = want_list(v, resource); break;
    case K_ONE_OF: l->one = want_list(v, resource); break;
    case K_NOT: l->not_ = schema_at(v, resource); break;
    case K_IF: l->if_ = schema_at(v, resource); break;
    case K_THEN: l->then = schema_at(v, resource); break;
    case K_ELSE: l->otherwise = schema_at(v, resource); break;
    default:
        if ((target = resolve(v, &resource)) != NULL) l->ref = schema_at(target, resource);
    }
}

static void refuse_keyword(const node *v, uint32_t k) {
    if (!blame(v)) return;
    say("the keyword ");
    say(keywords[k].name);
    if (keywords[k].drafts == 0)
        say(" is not supported");
    else
        say(draft == DRAFT_7 ? " is not one of draft-07" : " is not one of 2020-12: set $schema if this is draft-07");
}

/* Vocabularies that have to be understood. */
static void check_vocabularies(const node *v) {
    static const char prefix[] = "https://json-schema.org/draft/2020-12/vocab/";
    static const char *const known[] = {"core", "applicator", "unevaluated", "validation", "meta-data", "format-annotation", "content"};
    const node *key = v + 1;
    if (v->type != T_OBJECT) bad(v, "has to be an object");
    for (uint32_t i = 0; v->type == T_OBJECT && i < v->tag; i++, key += 1 + key[1].span) {
        uint32_t n = sizeof prefix - 1, k = 0;
        if (key[1].type == T_BOOL && !key[1].is_true) continue;
        sluice_string rest = {key->at + n, key->len - n};
        if (key->len > n && same_bytes(key->at, prefix, n))
            while (k < 7 && !sluice_is(rest, known[k])) k++;
        else
            k = 7;
        if (k == 7) bad(key + 1, "this vocabulary is required and not known here");
    }
}

static void compile_keyword(schema *s, uint32_t k, const node *v) {
    if (k == K_NONE) return;
    if (!(keywords[k].drafts & draft)) {
        refuse_keyword(v, k);
        return;
    }
    if (k >= K_MULTIPLE_OF && k <= K_EXCLUSIVE_MINIMUM) {
        compile_number(s, k, v);
        return;
    }
    switch (k) {
    case K_REF: compile_logic(s, k, v); break;
    case K_VOCABULARY: check_vocabularies(v); break;
    case K_TYPE: compile_type(s, v); break;
    case K_ENUM: compile_enum(s, v); break;
    case K_CONST: compile_const(s, v); break;
    case K_MAX_LENGTH:
    case K_MIN_LENGTH:
    case K_PATTERN: compile_string(s, k, v); break;
    case K_ITEMS: compile_items(s, v); break;
    case K_MAX_ITEMS:
    case K_MIN_ITEMS:
    case K_UNIQUE_ITEMS:
    case K_MAX_CONTAINS:
    case K_MIN_CONTAINS:
    case K_PREFIX_ITEMS:
    case K_ADDITIONAL_ITEMS:
    case K_CONTAINS: compile_array(s, k, v); break;
    case K_UNEVALUATED_ITEMS:
        s->unevaluated_items = schema_at(v, s->resource);
        needs |= NEEDS_MARKS;
        break;
    case K_UNEVALUATED_PROPERTIES:
        s->unevaluated_properties = schema_at(v, s->resource);
        needs |= NEEDS_MARKS;
        break;
    case K_DEFS:
    case K_DEFINITIONS:
        if (v->type != T_OBJECT) bad(v, "has to be an object");
        break;
    case K_SCHEMA:
    case K_ID:
    case K_ANCHOR:
    case K_DYNAMIC_REF:
    case K_DYNAMIC_ANCHOR: break; /* resolve.h has read or refused them */
    default:
        if (k >= K_ALL_OF && k <= K_ELSE)
            compile_logic(s, k, v);
        else
            compile_object(s, k, v);
    }
}

/* Whether a schema says nothing but $ref. */
static int only_refers(const schema *s) {
    const logic_checks *l = s->logic;
    return l && l->ref && !l->all.n && !l->any.n && !l->one.n && !l->not_ && !l->if_ && s->types == ANY_TYPE && !has_checks(s);
}

static uint8_t settled_types(const schema *s) {
    uint32_t open = 0;
    if (s->logic || s->values || s->constant) return 0;
    if (s->number || s->types & INTEGER_BIT) open |= 1 << T_NUMBER;
    if (s->string) open |= 1 << T_STRING;
    if (s->array || s->unevaluated_items) open |= 1 << T_ARRAY;
    if (s->object || s->unevaluated_properties) open |= 1 << T_OBJECT;
    return (uint8_t)(s->types & ANY_TYPE & ~open);
}

static void compile_one(schema *s) {
    const node *key = s->source + 1, *ref = keyword_value(s->source, K_REF);
    int alone = ref && draft == DRAFT_7; /* it hides what is beside it */
    if (alone) compile_logic(s, K_REF, ref);
    for (uint32_t i = 0; i < s->source->tag && !config_bad && !alone; i++, key += 1 + key[1].span)
        compile_keyword(s, keyword_of(key), key + 1);
    if (s->logic && !s->logic->if_) s->logic->then = s->logic->otherwise = NULL;
    if (only_refers(s)) s->alias = s->logic->ref;
    s->settled = settled_types(s);
}

#endif

/* compile.h: turns a schema, as it stands on the tape, into a program.
 *
 * Each schema is compiled once and found again by its node, so references to
 * it, recursive ones too, are pointers. Schemas wait in a queue instead of on
 * the stack. compile_keywords.h has the keywords, resolve.h the references. */
#ifndef VALIDATE_COMPILE_H
#define VALIDATE_COMPILE_H

enum { MAX_IN_PLACE = 100 };

static schema **compiled; /* by node */
static schema *queue_first, *queue_last;

/* ---- Schemas ---- */

/* The schema at a node that may stand where a schema is expected; never NULL. */
static schema *schema_at(const node *v, uint32_t resource) {
    uint32_t index = (uint32_t)(v - config_root);
    schema *s;
    if (v->type == T_BOOL) return v->is_true ? &schema_true : &schema_false;
    if (v->type != T_OBJECT) {
        bad(v, "a schema has to be an object or a boolean");
        return &schema_true;
    }
    if (v->tag == 0) return &schema_true;
    if (compiled[index]) {
        compiled[index]->uses = 2;
        return compiled[index];
    }
    if ((s = (schema *)arena(sizeof *s)) == NULL) {
        no_memory();
        return &schema_true;
    }
    s->types = ANY_TYPE;
    s->uses = 1;
    s->source = v;
    s->resource = base_of[index] ? base_of[index] - 1u : resource;
    if (queue_last)
        queue_last->queued = s;
    else
        queue_first = s;
    queue_last = s;
    return compiled[index] = s;
}

/* Memory for one of a schema's groups; a group that cannot be had is shared: the configuration has failed. */
static void *group(void **at, uint32_t size) {
    static uint64_t nowhere[64];
    if (!*at) *at = arena(size);
    if (!*at) {
        no_memory();
        return nowhere;
    }
    return *at;
}

static void *many(uint32_t n, uint32_t size) {
    void *p = n > 0x1000000 / size ? NULL : arena(n * size + 8);
    if (!p) no_memory();
    return p;
}

/* ---- Parts of keywords' values ---- */

static int want_number(const node *v, number *n) {
    if (v->type != T_NUMBER) return bad(v, "has to be a number");
    number_read(n, keep_bytes(v->at, v->len), v->len);
    return !config_bad;
}

/* A whole number from 0 on; more than a count can be is as good as the most. */
static uint32_t want_count(const node *v) {
    number n;
    if (v->type == T_NUMBER) number_read(&n, v->at, v->len);
    if (v->type != T_NUMBER || !number_is_integer(&n) || (n.small ? n.v < 0 : number_sign(&n) < 0))
        return (uint32_t)bad(v, "has to be a whole number from 0 on");
    if (!n.small) {
        if (n.point > 9) return UNLIMITED - 1;
        n.v = 0;
        for (const char *p = n.from; n.digits && p < n.to; p++)
            if (*p != '.') n.v = n.v * 10 + (*p - '0');
        for (int64_t i = n.digits; n.digits && i < n.point; i++) n.v *= 10;
    }
    return n.v < UNLIMITED - 1 ? (uint32_t)n.v : UNLIMITED - 1;
}

static schema_list want_list(const node *v, uint32_t resource) {
    schema_list l = {NULL, 0};
    const node *child = v + 1;
    if (v->type != T_ARRAY || v->tag == 0) {
        bad(v, "has to be an array of schemas that is not empty");
        return l;
    }
    if ((l.at = (schema **)many(v->tag, sizeof *l.at)) == NULL) return l;
    for (; l.n < v->tag; child += child->span) l.at[l.n++] = schema_at(child, resource);
    return l;
}

static regex *want_pattern(const node *where, const node *v) {
    regex *r = NULL;
    const char *why;
    if (v->type != T_STRING) {
        bad(where, "has to be a string");
        return NULL;
    }
    why = regex_compile(keep_bytes(v->at, v->len), v->len, &r);
    if (why && blame(where)) {
        say("the pattern ");
        say_quoted(v->at, v->len);
        say(" is refused: ");
        say(why);
    }
    if (!why && !r) no_memory();
    if (r && !pool && (pool = (char *)arena(POOL_BYTES)) == NULL) no_memory();
    return r;
}

/* A copy of a value in the arena. */
static const node *keep_value(const node *v) {
    node *copy = (node *)many(v->span, sizeof *copy);
    for (uint32_t i = 0; copy && i < v->span; i++) {
        copy[i] = v[i];
        if (v[i].type == T_OBJECT && v[i].tag > FEW_MEMBERS) needs |= NEEDS_MEMBERS;
        copy[i].at = v[i].type == T_NUMBER || v[i].type == T_STRING ? keep_bytes(v[i].at, v[i].len) : NULL;
    }
    return copy;
}

/* ---- What lies within each other ---- */

/* The i-th schema that applies to the same value as s does; NULL behind the last. */
static const schema *in_place(const schema *s, uint32_t i) {
    const logic_checks *l = s->logic;
    const schema *direct[5];
    uint32_t n = 0;
    if (l) {
        const schema *all[5] = {l->ref, l->not_, l->if_, l->then, l->otherwise};
        for (uint32_t k = 0; k < 5; k++)
            if (all[k]) direct[n++] = all[k];
        if (i < n) return direct[i];
        i -= n;
        if (i < l->all.n) return l->all.at[i];
        i -= l->all.n;
        if (i < l->any.n) return l->any.at[i];
        i -= l->any.n;
        if (i < l->one.n) return l->one.at[i];
        i -= l->one.n;
    }
    if (s->object && i < s->object->properties_count) return s->object->properties[i].then ? s->object->properties[i].then : &schema_true;
    return NULL;
}

/* Refuses a schema that applies to a value only if it applies to that value,
 * and a chain of such that would take much stack. Colors: 1 under way, 2 done. */
static void check_in_place(schema *s, uint32_t depth) {
    const schema *inner;
    if (config_bad || s->color == 2) return;
    if (s->color == 1) {
        bad(s->source, "this schema refers to itself for the same value, without end");
        return;
    }
    if (depth > MAX_IN_PLACE) {
        bad(s->source, "more than 100 references and combinations lie within each other here");
        return;
    }
    s->color = 1;
    for (uint32_t i = 0; (inner = in_place(s, i)) != NULL; i++) {
        check_in_place((schema *)(uintptr_t)inner, depth + 1);
        if (inner->height + 1 > s->height) s->height = (uint8_t)(inner->height + 1);
        if (s->height + depth > MAX_IN_PLACE) bad(s->source, "more than 100 references and combinations lie within each other here");
        if (config_bad) return;
    }
    s->color = 2;
}

/* ---- What is there twice ---- */

static int has_checks(const schema *s) {
    return s->number || s->string || s->array || s->object || s->values || s->constant || s->unevaluated_items || s->unevaluated_properties;
}

enum { FEW_SCHEMAS = 64 }; /* longer lists are left as they are */

/* Follows the references of a list, and drops what it has again: for allOf and anyOf that changes nothing. */
static void drop_repeated(schema_list *l) {
    uint32_t n = 0, k;
    if (l->n > FEW_SCHEMAS) return;
    for (uint32_t i = 0; i < l->n; i++) {
        schema *s = l->at[i];
        while (s->alias) s = s->alias;
        for (k = 0; k < n && l->at[k] != s; k++) {}
        if (k == n) l->at[n++] = s;
    }
    l->n = n;
}

/* Where a schema is an anyOf or oneOf and nothing else, and one of its schemas
 * alone allows a type, that one decides about all values of the type. */
static void find_routes(schema *s) {
    logic_checks *l = s->logic;
    const schema_list *of = l->any.n ? &l->any : &l->one;
    if (l->ref || l->all.n || l->not_ || l->if_ || (l->any.n && l->one.n) || s->types != ANY_TYPE || has_checks(s)) return;
    for (uint32_t t = 0; t < 6; t++) {
        uint32_t found = 0;
        for (uint32_t i = 0; i < of->n && found < 2; i++) {
            schema *c = of->at[i];
            while (c->alias) c = c->alias;
            if (!(c->types >> t & 1)) continue;
            l->sole[t] = c;
            found++;
        }
        if (found != 1) continue;
        s->routes |= (uint8_t)(1 << t);
        if (t < T_ARRAY) s->settled |= l->sole[t]->settled & (uint8_t)(1 << t); /* nothing is marked there */
    }
}

static void tidy(schema *s) {
    if (s->uses > 1)
        for (schema *a = s->alias; a; a = a->alias) a->uses = 2;
    if (!s->logic) return;
    drop_repeated(&s->logic->all);
    drop_repeated(&s->logic->any);
    find_routes(s);
}

/* ---- A document ---- */

static void compile_one(schema *s);

/* Compiles the schema at v with all that it refers to; NULL where it is refused. */
static schema *compile_document(const node *v) {
    const node *dialect = keyword_value(v, K_SCHEMA);
    schema *root;
    draft = DRAFT_2020;
    if (dialect && (draft = draft_named(dialect)) == 0) {
        if (blame(dialect)) {
            if (dialect->type == T_STRING) say_quoted(dialect->at, dialect->len);
            say(" is no dialect known here: 2020-12 (https://json-schema.org/draft/2020-12/schema) and draft-07 "
                "(http://json-schema.org/draft-07/schema#) are, and without $schema it is 2020-12");
        }
        return NULL;
    }
    resources[0].uri = part_of("", "");
    resources[0].uri.len = 0;
    resources[0].root = v;
    resources_count = 1;
    anchors_count = 0;
    needs = 0;
    queue_first = queue_last = NULL;
    index_schema(v, 0);
    root = config_bad ? NULL : schema_at(v, 0);
    for (schema *s = queue_first; s && !config_bad; s = s->queued) compile_one(s);
    for (schema *s = queue_first; s && !config_bad; s = s->queued) check_in_place(s, 0);
    for (schema *s = queue_first; s && !config_bad; s = s->queued)
        tidy(s);
    return config_bad ? NULL : root;
}

#endif

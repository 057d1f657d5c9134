/* evaluate.h: holds a value on the tape against a compiled schema.
 *
 * What is wrong first is remembered as a fault, unless it is only tried
 * whether a schema holds (in anyOf, if, contains …). Where a schema above asks
 * for unevaluated members, marks has a bit for each child of the value, and
 * whoever evaluates a child sets its bit. Recursion takes no memory but the
 * machine's stack: no local's address is taken in functions that recurse. */
#ifndef VALIDATE_EVALUATE_H
#define VALIDATE_EVALUATE_H

/* Functions that recurse are kept apart, so that each has a small frame. */
#define APART static __attribute__((noinline))

enum { MAX_EVALUATION = 350 };

/* What was found wrong. */
static struct {
    uint32_t keyword;
    const node *at;       /* the value */
    const schema *schema; /* whose keyword it is */
    const void *detail;   /* as the keyword has it: report_fault.h */
    uint32_t count;
    const node *key; /* at is this key, looked at as a value of its own */
} fault;

static uint32_t trying, nesting;
/* Whatever the result is, it is none. */
enum { TOO_DEEP = 1, PATTERN_TOO_COSTLY = 2, TOO_COSTLY = 3 };
static int gave_up;
static const node *name_looked_at;

static int wrong(uint32_t keyword, const node *v, const schema *s, const void *detail, uint32_t count) {
    if (trying) return 0;
    fault.keyword = keyword;
    fault.at = v;
    fault.schema = s;
    fault.detail = detail;
    fault.count = count;
    fault.key = name_looked_at;
    return 0;
}

static int evaluate(const schema *s, const node *v, uint32_t *marks);

/* Whether the schema holds, without a fault where it does not. */
static int holds_for(const schema *s, const node *v, uint32_t *marks) {
    int result;
    trying++;
    result = evaluate(s, v, marks);
    trying--;
    return result;
}

/* ---- Marks ---- */

static void mark(uint32_t *marks, uint32_t i) {
    if (marks) marks[i >> 5] |= 1u << (i & 31);
}

static uint32_t mark_words(const node *v) { return v->type == T_ARRAY || v->type == T_OBJECT ? (v->tag + 31) / 32 : 0; }

static uint32_t *marks_begin(const node *v) {
    uint32_t *m = (uint32_t *)scratch_clear(mark_words(v) * 4 + 8);
    spend(4 + mark_words(v));
    if (!m) gave_up = TOO_DEEP;
    return m;
}

static void marks_add(uint32_t *to, const uint32_t *from, const node *v) {
    for (uint32_t i = 0, n = mark_words(v); i < n && to; i++) to[i] |= from[i];
}

APART int try_slowly(const schema *s, const node *v, uint32_t *marks) {
    uint32_t used = scratch_used, *own;
    int result;
    if (!marks) return holds_for(s, v, NULL);
    if ((own = marks_begin(v)) == NULL) return 0;
    result = holds_for(s, v, own);
    if (result) marks_add(marks, own, v);
    scratch_used = used;
    return result;
}

/* Tries a schema; its marks count only if it holds. Most of the schemas of an
 * anyOf differ in their type. */
static inline int try_marked(const schema *s, const node *v, uint32_t *marks) {
    spend(1);
    while (s->alias) s = s->alias;
    if (!(s->types >> v->type & 1)) return 0;
    if (s->settled >> v->type & 1) return 1;
    return try_slowly(s, v, marks);
}

/* ---- Numbers, strings ---- */

static int matches(regex *r, const node *text) {
    int result;
    spend(4 + text->len * 5 / 8);
    result = regex_search(r, text->at, text->len);
    if (steps_left < 0 && !gave_up) gave_up = PATTERN_TOO_COSTLY;
    return result;
}

APART int is_integer(const node *v) {
    number n;
    spend(v->len / 8);
    number_read(&n, v->at, v->len);
    return number_is_integer(&n);
}

APART int evaluate_number(const schema *s, const node *v) {
    number_checks *c = s->number;
    number n;
    spend(2 + v->len * 2);
    number_read(&n, v->at, v->len);
    if (c->maximum.text && number_compare(&n, &c->maximum) > 0) return wrong(K_MAXIMUM, v, s, &c->maximum, 0);
    if (c->minimum.text && number_compare(&n, &c->minimum) < 0) return wrong(K_MINIMUM, v, s, &c->minimum, 0);
    if (c->below.text && number_compare(&n, &c->below) >= 0) return wrong(K_EXCLUSIVE_MAXIMUM, v, s, &c->below, 0);
    if (c->above.text && number_compare(&n, &c->above) <= 0) return wrong(K_EXCLUSIVE_MINIMUM, v, s, &c->above, 0);
    if (c->step.digits && !number_divides(&n, &c->step)) return wrong(K_MULTIPLE_OF, v, s, NULL, 0);
    return 1;
}

APART int evaluate_string(const schema *s, const node *v) {
    const string_checks *c = s->string;
    uint32_t n;
    if (v->len > c->max || v->len / 4 < c->min) {
        spend(v->len / 32);
        n = count_points(v->at, v->len);
        if (n > c->max) return wrong(K_MAX_LENGTH, v, s, NULL, n);
        if (n < c->min) return wrong(K_MIN_LENGTH, v, s, NULL, n);
    }
    if (c->pattern && !matches(c->pattern, v)) return wrong(K_PATTERN, v, s, c->pattern, 0);
    return 1;
}

/* ---- Arrays ---- */

APART int evaluate_contains(const schema *s, const node *v, uint32_t *marks) {
    const array_checks *c = s->array;
    const node *x = v + 1;
    uint32_t found = 0;
    spend(v->tag * 2);
    for (uint32_t i = 0; i < v->tag; i++, x += x->span) {
        if (!marks && c->max_contains == UNLIMITED && found >= c->min_contains) return 1;
        if (gave_up) return 0;
        if (!holds_for(c->contains, x, NULL)) continue;
        found++;
        mark(marks, i);
    }
    if (found < c->min_contains) return wrong(K_MIN_CONTAINS, v, s, NULL, found);
    if (found > c->max_contains) return wrong(K_MAX_CONTAINS, v, s, NULL, found);
    return 1;
}

APART int evaluate_array(const schema *s, const node *v, uint32_t *marks) {
    const array_checks *c = s->array;
    const node *x = v + 1;
    if (v->tag > c->max) return wrong(K_MAX_ITEMS, v, s, NULL, v->tag);
    if (v->tag < c->min) return wrong(K_MIN_ITEMS, v, s, NULL, v->tag);
    if (c->prefix.n || c->items) {
        spend(v->tag * 3);
        for (uint32_t i = 0; i < v->tag; i++, x += x->span) {
            const schema *sub = i < c->prefix.n ? c->prefix.at[i] : c->items;
            if (!sub) break;
            if (sub == &schema_false && i >= c->prefix.n) return wrong(c->items_keyword, v, s, NULL, i);
            if (!evaluate(sub, x, NULL)) return 0;
            mark(marks, i);
        }
    }
    if (c->contains && !evaluate_contains(s, v, marks)) return 0;
    if (c->unique) {
        const node *twice = repeated(v);
        if (twice) return wrong(K_UNIQUE_ITEMS, twice, s, NULL, 0);
    }
    return 1;
}

/* ---- Objects ---- */

APART __attribute__((minsize)) int evaluate_dependents(const schema *s, const property *p, const node *v, uint32_t *marks) {
    for (uint32_t i = 0; i < p->needs_count; i++) {
        spend(v->tag / 4);
        if (steps_left < 0) return 0; /* evaluate_message sees why */
        if (!member(v, p->needs[i].at, p->needs[i].len, p->needs[i].hash)) return wrong(p->needs_keyword, v, s, p, i);
    }
    if (p->then == &schema_false) return wrong(p->then_keyword, v, s, p, UNLIMITED);
    return !p->then || evaluate(p->then, v, marks);
}

APART int evaluate_name(const schema *names, const node *key) {
    const node *outer = name_looked_at;
    int result;
    name_looked_at = key;
    result = evaluate(names, key, NULL);
    name_looked_at = outer;
    return result;
}

APART __attribute__((minsize)) int missing_name(const schema *s, const node *v) {
    const object_checks *c = s->object;
    for (uint32_t i = 0; i < c->properties_count && !trying && steps_left >= 0; i++) {
        const property *p = &c->properties[i];
        if (p->required) spend(v->tag / 4);
        if (p->required && !member(v, p->name.at, p->name.len, p->name.hash)) return wrong(K_REQUIRED, v, s, p, 0);
    }
    return 0;
}

enum { NO_MATCH = 1, MATCHED = 2 };

/* Holds a member's value against the patterns that its key matches. 0: it fails. */
APART int evaluate_patterns(const object_checks *c, const node *key) {
    int result = NO_MATCH;
    for (uint32_t k = 0; k < c->patterns_count; k++) {
        if (!matches(c->patterns[k].pattern, key)) {
            if (gave_up) return 0;
            continue;
        }
        result = MATCHED;
        if (!evaluate(c->patterns[k].sub, key + 1, NULL)) return 0;
    }
    return result;
}

/* One member: its key, and i, its place among the members. */
APART int evaluate_member(const schema *s, const node *v, const node *key, uint32_t i, const property *p, uint32_t *marks) {
    const object_checks *c = s->object;
    int seen = 0;
    if (p && p->sub) {
        seen = 1;
        if (!evaluate(p->sub, key + 1, NULL)) return 0;
    }
    if (c->patterns_count) {
        int matched = evaluate_patterns(c, key);
        if (!matched) return 0;
        seen |= matched == MATCHED;
    }
    if (!seen && c->additional) {
        seen = 1;
        if (c->additional == &schema_false) return wrong(K_ADDITIONAL_PROPERTIES, key, s, NULL, 0);
        if (!evaluate(c->additional, key + 1, NULL)) return 0;
    }
    if (seen) mark(marks, i);
    if (c->names && c->names != &schema_true && !evaluate_name(c->names, key)) return 0;
    return !p || (!p->needs_count && !p->then) || evaluate_dependents(s, p, v, marks);
}

APART int evaluate_object(const schema *s, const node *v, uint32_t *marks) {
    const object_checks *c = s->object;
    const node *key = v + 1;
    uint32_t found = 0;
    spend(v->tag * 2);
    if (v->tag > c->max) return wrong(K_MAX_PROPERTIES, v, s, NULL, v->tag);
    if (v->tag < c->min) return wrong(K_MIN_PROPERTIES, v, s, NULL, v->tag);
    for (uint32_t i = 0; i < v->tag; i++, key += 1 + key[1].span) {
        const property *p = c->properties_count ? find_property(c, key->at, key->len, key->tag) : NULL;
        if (p) found += p->required;
        if (!evaluate_member(s, v, key, i, p, marks)) return 0;
    }
    return found >= c->required || missing_name(s, v);
}

/* ---- Combinations ---- */

APART int evaluate_any(const schema *s, const node *v, uint32_t *marks) {
    const schema_list *l = &s->logic->any;
    int found = 0;
    for (uint32_t i = 0; i < l->n && (!found || marks) && !gave_up; i++) found |= try_marked(l->at[i], v, marks);
    return found || wrong(K_ANY_OF, v, s, NULL, l->n);
}

APART int evaluate_one(const schema *s, const node *v, uint32_t *marks) {
    const schema_list *l = &s->logic->one;
    uint32_t found = 0, first = 0;
    for (uint32_t i = 0; i < l->n && !gave_up; i++) {
        if (!try_marked(l->at[i], v, marks)) continue;
        if (found++) return wrong(K_ONE_OF, v, s, &l->at[first], i);
        first = i;
    }
    return found || wrong(K_ONE_OF, v, s, NULL, l->n);
}

APART int evaluate_logic(const schema *s, const node *v, uint32_t *marks) {
    const logic_checks *l = s->logic;
    if (l->ref && !evaluate(l->ref, v, marks)) return 0;
    for (uint32_t i = 0; i < l->all.n; i++)
        if (!evaluate(l->all.at[i], v, marks)) return 0;
    if (l->any.n && !evaluate_any(s, v, marks)) return 0;
    if (l->one.n && !evaluate_one(s, v, marks)) return 0;
    if (l->not_ && holds_for(l->not_, v, NULL)) return wrong(K_NOT, v, s, NULL, 0);
    if (l->if_ && (marks || l->then || l->otherwise)) {
        const schema *branch = try_marked(l->if_, v, marks) ? l->then : l->otherwise;
        if (branch && !evaluate(branch, v, marks)) return 0;
    }
    return 1;
}

/* ---- Unevaluated ---- */

/* Holds the children that nothing has evaluated against s's schema for them. */
APART int evaluate_rest(const schema *s, const node *v, uint32_t *marks) {
    const schema *rest = v->type == T_ARRAY ? s->unevaluated_items : s->unevaluated_properties;
    uint32_t keyword = v->type == T_ARRAY ? K_UNEVALUATED_ITEMS : K_UNEVALUATED_PROPERTIES;
    const node *child = v + 1;
    if (!rest) return 1;
    spend(v->tag * 2);
    for (uint32_t i = 0; i < v->tag; i++) {
        const node *value = v->type == T_ARRAY ? child : child + 1;
        if (!(marks[i >> 5] >> (i & 31) & 1)) {
            if (rest == &schema_false) return wrong(keyword, child, s, NULL, i);
            if (!evaluate(rest, value, NULL)) return 0;
            mark(marks, i);
        }
        child = value + value->span;
    }
    return 1;
}

/* The checks that values of all types have. */
APART int evaluate_common(const schema *s, const node *v, uint32_t *marks) {
    if (s->values && !is_among(s->values, v)) return wrong(K_ENUM, v, s, s->values, 0);
    if (s->constant && !is_among(s->constant, v)) return wrong(K_CONST, v, s, s->constant, 0);
    return !s->logic || evaluate_logic(s, v, marks);
}

/* Those of a number or a string, which need more of the stack: so this is no
 * part of evaluate_checks, which lies on it many times for a deep value. */
APART int evaluate_scalar(const schema *s, const node *v) {
    if (v->type == T_NUMBER) {
        if (s->types & INTEGER_BIT && !is_integer(v)) return wrong(K_TYPE, v, s, NULL, 0);
        if (s->number && !evaluate_number(s, v)) return 0;
    } else if (s->string && !evaluate_string(s, v)) {
        return 0;
    }
    return evaluate_common(s, v, NULL);
}

/* The checks of a schema that is not a boolean, but for its types and unevaluated ones. */
APART int evaluate_checks(const schema *s, const node *v, uint32_t *marks) {
    switch (v->type) {
    case T_NUMBER:
    case T_STRING: return evaluate_scalar(s, v);
    case T_ARRAY:
        if (s->array && !evaluate_array(s, v, marks)) return 0;
        break;
    case T_OBJECT:
        if (s->object && !evaluate_object(s, v, marks)) return 0;
        break;
    }
    return (!s->values && !s->constant && !s->logic) || evaluate_common(s, v, marks);
}

APART int evaluate_marked(const schema *s, const node *v, uint32_t *marks) {
    uint32_t used = scratch_used, *own = marks_begin(v);
    int result = own && evaluate_checks(s, v, own) && evaluate_rest(s, v, own);
    if (result) marks_add(marks, own, v);
    scratch_used = used;
    return result;
}

/* ---- What has been tried before ----
 * A schema may try the same part of a message by way of several branches, each
 * of which does so again further in. Results are kept, in a table that forgets
 * little, so that the work does not multiply with the depth. */
typedef struct {
    const schema *schema;
    const node *at;
    uint32_t message; /* twice its number, and 1 if the schema holds */
} trial;

enum { MAX_TRIALS = 32768, FEW_LEVELS = 3 };
static region tried_region;
static trial *tried;
static uint32_t tried_mask, message_count;

/* Makes room for what will be tried with a tape of that many nodes. */
static int tried_reserve(uint32_t nodes) {
    uint32_t size = 64;
    while (size < nodes && size < MAX_TRIALS) size *= 2;
    if (!reserve(&tried_region, size * (uint32_t)sizeof *tried)) return 0;
    tried = (trial *)(void *)tried_region.at;
    tried_mask = size - 1;
    return 1;
}

static trial *trial_of(const schema *s, const node *v) {
    uint32_t h = (uint32_t)(uintptr_t)s * 0x9E3779B1u; /* nodes beside each other get places near each other */
    return &tried[((h >> 16) + (uint32_t)((uintptr_t)v >> 3)) & tried_mask];
}

static int asks_for_rest(const schema *s, const node *v) {
    return (v->type == T_ARRAY && s->unevaluated_items) || (v->type == T_OBJECT && s->unevaluated_properties);
}

/* Whether the result is worth to be kept: one that is used in one place alone
 * is tried again only where the schema around it is. */
static int is_kept(const schema *s, const node *v, uint32_t uses) {
    if (uses < 2) return 0;
    if (v->type < T_ARRAY || !v->tag) return s->height > FEW_LEVELS;
    return trying || s->logic;
}

/* A failure sets no marks, so it counts even where they are asked for. Where
 * nothing is only tried, it is found anew: its fault has to be remembered. */
APART int evaluate_kept(const schema *s, const node *v, uint32_t *marks) {
    trial *t = trial_of(s, v);
    int result;
    spend(3);
    if (t->schema == s && t->at == v && t->message >> 1 == message_count) {
        if (t->message & 1 && !marks) return 1;
        if (!(t->message & 1) && trying) return 0;
    }
    result = asks_for_rest(s, v) ? evaluate_marked(s, v, marks) : evaluate_checks(s, v, marks);
    if (gave_up) return 0;
    t = trial_of(s, v);
    t->schema = s;
    t->at = v;
    t->message = message_count << 1 | (uint32_t)result;
    return result;
}

static int evaluate(const schema *s, const node *v, uint32_t *marks) {
    int result;
    uint32_t uses;
    while (s->alias) s = s->alias;
    uses = s->uses;
    while (trying && s->routes >> v->type & 1) {
        s = s->logic->sole[v->type];
        uses |= s->uses;
    }
    if (s->settled >> v->type & 1) return 1;
    if (!(s->types >> v->type & 1)) return wrong(s->kind == S_FALSE ? K_FALSE : K_TYPE, v, s, NULL, 0);
    spend(6);
    if (nesting == MAX_EVALUATION || gave_up || steps_left < 0) {
        if (!gave_up) gave_up = steps_left < 0 ? TOO_COSTLY : TOO_DEEP;
        return 0;
    }
    nesting++;
    if (is_kept(s, v, uses))
        result = evaluate_kept(s, v, marks);
    else if (asks_for_rest(s, v))
        result = evaluate_marked(s, v, marks);
    else
        result = evaluate_checks(s, v, marks);
    nesting--;
    return result;
}

/* How many steps a message may take: the limit for each 64 KiB that are begun. */
static int32_t steps_for(uint32_t bytes) { return (int32_t)(bytes / PAGE + 1) * MESSAGE_STEPS; }

/* Holds a message of that many bytes against its schema, from a clean start. */
static int evaluate_message(const schema *s, const node *root, uint32_t bytes) {
    int result;
    scratch_used = trying = nesting = 0;
    gave_up = 0;
    steps_left = steps_for(bytes);
    name_looked_at = NULL;
    if (++message_count == 1u << 31) {
        for (uint32_t i = 0; i < tried_region.size / sizeof *tried; i++) ((trial *)(void *)tried_region.at)[i].schema = NULL;
        message_count = 1;
    }
    result = evaluate(s, root, NULL);
    if (steps_left < 0 && !gave_up) gave_up = TOO_COSTLY;
    return result && !gave_up;
}

#endif

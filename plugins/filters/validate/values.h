/* values.h: whether JSON values are equal, for const, enum and uniqueItems.
 * Numbers are equal as numbers, objects in whatever order their members are. */
#ifndef VALIDATE_VALUES_H
#define VALIDATE_VALUES_H

/* What takes scratch space: marks for unevaluated children, a table of an
 * object's members, a table of an array's items. NEEDS_TRIALS: schemas are
 * tried, and evaluate.h keeps the results in a table of its own. */
enum { NEEDS_MARKS = 1, NEEDS_MEMBERS = 2, NEEDS_ITEMS = 4, NEEDS_TRIALS = 8 };
enum { FEW_MEMBERS = 16 }; /* an object with more is looked up in by a table */

/* The most of it for each node of a message. Marks are a bit for each of up to
 * 100 schemas that apply to a value at one time. */
static uint32_t scratch_per_node(uint32_t needs_) {
    uint32_t place = (uint32_t)sizeof(node *), n = 0;
    if (needs_ & NEEDS_MARKS) n += 16;
    if (needs_ & (NEEDS_MEMBERS | NEEDS_ITEMS)) n += 3 * place;
    if (needs_ & NEEDS_ITEMS) n += 3 * 2 * place;
    return n;
}

/* A hash that equal values share. */
static uint32_t value_hash(const node *v) {
    const node *child = v + 1;
    uint32_t h = v->type * 0x9E3779B1u + (uint32_t)hash_seed;
    number n;
    spend(5 + (v->type == T_NUMBER ? v->len : v->len / 16));
    switch (v->type) {
    case T_BOOL: return h + v->is_true;
    case T_NUMBER:
        number_read(&n, v->at, v->len);
        return h ^ number_hash(&n);
    case T_STRING: return h ^ hash_bytes(v->at, v->len);
    case T_ARRAY:
        for (uint32_t i = 0; i < v->tag; i++, child += child->span) h = (h ^ value_hash(child)) * 0x85EBCA6Bu + (h >> 15);
        return h;
    case T_OBJECT:
        for (uint32_t i = 0; i < v->tag; i++, child += 1 + child[1].span)
            h += (uint32_t)hash_mix(child->tag, value_hash(child + 1));
        return h;
    }
    return h;
}

static int same_number(const node *a, const node *b) {
    number x, y;
    spend(a->len + b->len);
    if (a->len == b->len && same_bytes(a->at, b->at, a->len)) return 1;
    number_read(&x, a->at, a->len);
    number_read(&y, b->at, b->len);
    return number_compare(&x, &y) == 0;
}

static int same_value(const node *a, const node *b);

/* Two objects with as many members; each member of b is looked up in a. */
static __attribute__((noinline, minsize)) int same_members(const node *a, const node *b) {
    const node *k, *other = b + 1, **slots = NULL;
    uint32_t used = scratch_used, size = table_size(a->tag), slot;
    if (a->tag > FEW_MEMBERS) slots = (const node **)scratch_clear(size * (uint32_t)sizeof *slots);
    if (slots) {
        spend(a->tag * 2);
        k = a + 1;
        for (uint32_t i = 0; i < a->tag; i++, k += 1 + k[1].span) {
            for (slot = k->tag & (size - 1); slots[slot]; slot = (slot + 1) & (size - 1)) {}
            slots[slot] = k;
        }
    }
    for (uint32_t i = 0; i < b->tag; i++, other += 1 + other[1].span) {
        if (slots) {
            slot = other->tag & (size - 1);
            while ((k = slots[slot]) != NULL && !same_key(k, other)) slot = (slot + 1) & (size - 1);
            if (k) k++;
        } else {
            k = member(a, other->at, other->len, other->tag);
        }
        if (!k || !same_value(k, other + 1)) break;
        if (i + 1 == b->tag) {
            scratch_used = used;
            return 1;
        }
    }
    scratch_used = used;
    return b->tag == 0;
}

static int same_value(const node *a, const node *b) {
    if (a->type != b->type) return 0;
    spend(2 + (a->len == b->len ? a->len / 16 : 0));
    switch (a->type) {
    case T_BOOL: return a->is_true == b->is_true;
    case T_NUMBER: return same_number(a, b);
    case T_STRING: return a->len == b->len && same_bytes(a->at, b->at, a->len);
    case T_ARRAY: {
        const node *x = a + 1, *y = b + 1;
        if (a->tag != b->tag) return 0;
        for (uint32_t i = 0; i < a->tag; i++, x += x->span, y += y->span)
            if (steps_left < 0 || !same_value(x, y)) return 0;
        return 1;
    }
    case T_OBJECT: return a->tag == b->tag && same_members(a, b);
    }
    return 1;
}

/* The later of two elements that are equal; NULL where there are none. */
static __attribute__((noinline)) const node *repeated(const node *array) {
    const node *x = array + 1, *found = NULL;
    uint32_t used = scratch_used, size = table_size(array->tag), slot, h;
    struct {
        const node *v;
        uint32_t hash;
    } *table;
    if (array->tag < 2) return NULL;
    if (array->tag <= 4) { /* each with each */
        for (uint32_t i = 1; i < array->tag; i++) {
            const node *y = array + 1;
            x += x->span;
            for (uint32_t k = 0; k < i; k++, y += y->span)
                if (same_value(y, x)) return x;
        }
        return NULL;
    }
    if ((table = scratch_clear(size * (uint32_t)sizeof *table)) == NULL) return array;
    spend(array->tag);
    for (uint32_t i = 0; i < array->tag && !found && steps_left >= 0; i++, x += x->span) {
        h = value_hash(x);
        for (slot = h & (size - 1); table[slot].v; slot = (slot + 1) & (size - 1))
            if (table[slot].hash == h && same_value(table[slot].v, x)) {
                found = x;
                break;
            }
        table[slot].v = x;
        table[slot].hash = h;
    }
    scratch_used = used;
    return found;
}

static int is_among(const value_checks *c, const node *v) {
    if (c->slots) {
        for (uint32_t slot = value_hash(v) & c->mask; c->slots[slot]; slot = (slot + 1) & c->mask)
            if (same_value(c->at[c->slots[slot] - 1], v)) return 1;
        return 0;
    }
    for (uint32_t i = 0; i < c->n && steps_left >= 0; i++)
        if (same_value(c->at[i], v)) return 1;
    return 0;
}

#endif

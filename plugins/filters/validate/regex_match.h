/* regex_match.h: searches a text by a compiled regular expression.
 *
 * A state of the automaton is a set of states of the program, before splits
 * and assertions are followed: those need to know what comes next. The states,
 * and the ways between them, are made when they are first needed and kept in a
 * pool that all expressions share; when it is full, all are forgotten and
 * made again. So memory is bounded, and a step costs at worst a walk over the
 * program; how long those walks may be in all for one message is bounded too. */
#ifndef VALIDATE_REGEX_MATCH_H
#define VALIDATE_REGEX_MATCH_H

enum { F_BEGIN = 1, F_AFTER_WORD = 2 };

struct dfa_state {
    dfa_state *chain; /* of the bucket */
    uint32_t hash;
    uint16_t flags, count;
    /* Behind it: a way out for each class and the end, then the program's states. */
};

enum { POOL_BYTES = 4 * PAGE };

static char *pool;
static uint32_t pool_used, pool_generation = 1;

/* Set of the program's states, in no order. */
static uint16_t kernel[MAX_STATES + 1], walk[2 * MAX_STATES + 2];
static uint32_t kernel_count;
static uint32_t in_kernel[MAX_STATES], in_walk[MAX_STATES], stamp;

static dfa_state dfa_dead, dfa_found;

static void new_stamp(void) {
    if (++stamp) return;
    for (uint32_t i = 0; i < MAX_STATES; i++) in_kernel[i] = in_walk[i] = 0;
    stamp = 1;
}

static dfa_state **ways(dfa_state *s) { return (dfa_state **)(void *)(s + 1); }
static uint16_t *members(const regex *r, dfa_state *s) { return (uint16_t *)(void *)(ways(s) + r->classes + 1); }

static void kernel_add(uint32_t state) {
    if (in_kernel[state] == stamp) return;
    in_kernel[state] = stamp;
    kernel[kernel_count++] = (uint16_t)state;
}

static void kernel_sort(void) {
    if (kernel_count > 64) return; /* not worth it: it only finds equal sets */
    for (uint32_t i = 1; i < kernel_count; i++) {
        uint16_t x = kernel[i];
        uint32_t k = i;
        for (; k && kernel[k - 1] > x; k--) kernel[k] = kernel[k - 1];
        kernel[k] = x;
    }
}

/* The state for what is in kernel: a known one or a new one. */
static __attribute__((minsize)) dfa_state *kernel_state(regex *r, uint32_t flags) {
    uint32_t h = flags + 1, size;
    dfa_state *s;
    kernel_sort();
    for (uint32_t i = 0; i < kernel_count; i++) h = (h ^ kernel[i]) * 0x9E3779B1u;
    h ^= h >> 15;
    if (r->generation == pool_generation)
        for (s = r->buckets[h % BUCKETS]; s; s = s->chain)
            if (s->hash == h && s->flags == flags && s->count == kernel_count &&
                same_bytes((const char *)members(r, s), (const char *)kernel, kernel_count * 2))
                return s;
    size = (uint32_t)(sizeof *s + (r->classes + 1) * sizeof s + kernel_count * 2 + 7) & ~7u;
    if (size > POOL_BYTES - pool_used) {
        pool_used = 0;
        pool_generation++;
    }
    if (r->generation != pool_generation) {
        r->generation = pool_generation;
        r->start = NULL;
        for (uint32_t i = 0; i < BUCKETS; i++) r->buckets[i] = NULL;
    }
    s = (dfa_state *)(void *)(pool + pool_used);
    pool_used += size;
    s->hash = h;
    s->flags = (uint16_t)flags;
    s->count = (uint16_t)kernel_count;
    for (uint32_t i = 0; i <= r->classes; i++) ways(s)[i] = NULL;
    for (uint32_t i = 0; i < kernel_count; i++) members(r, s)[i] = kernel[i];
    s->chain = r->buckets[h % BUCKETS];
    r->buckets[h % BUCKETS] = s;
    return s;
}

static int has_class(const class_set *s, uint32_t class) { return s->has[class >> 5] >> (class & 31) & 1; }

static int holds(const regex *r, uint32_t what, uint32_t flags, uint32_t class) {
    int before = (flags & F_AFTER_WORD) != 0;
    switch (what) {
    case AT_BEGIN: return (flags & F_BEGIN) != 0;
    case AT_END: return class == r->classes;
    case AT_WORD_EDGE: return before != (class < r->classes && has_class(&r->word, class));
    default: return before == (class < r->classes && has_class(&r->word, class));
    }
}

/* Follows splits and assertions from a state on, and puts into kernel where
 * the class leads. 1: the expression matches. */
static int follow(const regex *r, uint32_t from, uint32_t flags, uint32_t class) {
    uint32_t top = 0;
    walk[top++] = (uint16_t)from;
    while (top) {
        uint32_t state = walk[--top];
        const instruction *in = &r->program[state];
        steps_left--;
        if (in_walk[state] == stamp) continue;
        in_walk[state] = stamp;
        switch (in->op) {
        case OP_MATCH: return 1;
        case OP_CLASS:
            if (class < r->classes && has_class(&r->sets[in->arg], class)) kernel_add(in->next);
            break;
        case OP_ASSERT:
            if (holds(r, in->arg, flags, class)) walk[top++] = in->next;
            break;
        case OP_SPLIT: walk[top++] = in->arg; /* fall through */
        case OP_JUMP: walk[top++] = in->next; break;
        }
    }
    return 0;
}

/* Makes the way from s on the class. */
static dfa_state *advance(regex *r, dfa_state *s, uint32_t class) {
    uint32_t generation = pool_generation, flags = 0;
    dfa_state *to = NULL;
    new_stamp();
    kernel_count = 0;
    for (uint32_t i = 0; i < s->count && !to; i++)
        if (follow(r, members(r, s)[i], s->flags, class)) to = &dfa_found;
    if (!to) {
        if (!r->anchored && class < r->classes) kernel_add(0);
        if (r->has_edges && class < r->classes && has_class(&r->word, class)) flags = F_AFTER_WORD;
        to = kernel_count ? kernel_state(r, flags) : &dfa_dead;
    }
    if (pool_generation == generation) ways(s)[class] = to;
    return to;
}

/* The run that the code point is in: the last that begins at or before it. */
static uint32_t find_run(const uint32_t *starts, uint32_t n, uint32_t point) {
    uint32_t lo = 0, hi = n;
    while (hi - lo > 1) {
        uint32_t mid = (lo + hi) / 2;
        if (starts[mid] <= point)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

static uint32_t class_of(const regex *r, uint32_t point) { return r->kinds[find_run(r->starts, r->runs, point)]; }

/* Whether the expression matches anywhere in the text. */
static int regex_search(regex *r, const char *p, uint32_t len) {
    const char *end = p + len;
    dfa_state *s, *next;
    if (r->generation != pool_generation || !r->start) {
        new_stamp();
        kernel_count = 0;
        kernel_add(0);
        s = kernel_state(r, F_BEGIN);
        r->start = s;
    }
    s = r->start;
    while (p < end) {
        uint32_t byte = (uint8_t)*p, class;
        if (byte < 128) {
            class = r->ascii[byte];
            p++;
        } else {
            class = class_of(r, get_utf8(&p, end));
            steps_left--;
        }
        next = ways(s)[class];
        if (!next) {
            next = advance(r, s, class);
            if (steps_left < 0) return 0;
        }
        if (next == &dfa_found) return 1;
        if (next == &dfa_dead) return 0;
        s = next;
    }
    next = ways(s)[r->classes];
    if (!next) next = advance(r, s, r->classes);
    return next == &dfa_found;
}

#endif

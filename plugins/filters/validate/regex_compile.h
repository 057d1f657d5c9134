/* regex_compile.h: turns the tree of a regular expression into its program.
 *
 * The program is Thompson's: states that read one code point, and splits and
 * jumps between them. Code points that no set of the expression tells apart
 * form one class, so that a state needs one way out for each class. */
#ifndef VALIDATE_REGEX_COMPILE_H
#define VALIDATE_REGEX_COMPILE_H

enum { MAX_EDGES = 2 * MAX_RANGES + 16, MAX_STEPS = 200000 };

static region rx_region;
static instruction *rx_program;
static uint32_t rx_used, rx_steps;
static uint32_t *rx_edges; /* where runs of code points begin that belong together */
static uint32_t rx_edges_used;
static uint8_t *rx_kinds, *rx_marks;

/* ---- The program ---- */

static uint32_t rx_emit(uint8_t op, uint32_t arg) {
    if (rx_used == MAX_STATES) {
        rx_fail("it expands to more than 4000 states");
        return 0;
    }
    rx_program[rx_used].op = op;
    rx_program[rx_used].arg = (uint16_t)arg;
    rx_program[rx_used].next = (uint16_t)(rx_used + 1);
    return rx_used++;
}

static void rx_generate(uint32_t t);

enum { NOWHERE = 0xFFFF }; /* ends a list of instructions whose target is not known yet */

static void rx_generate_repeat(const tree *t) {
    uint32_t start = rx_used, leave = NOWHERE, split;
    for (uint32_t i = 0; i < t->min && !rx.why; i++) {
        start = rx_used;
        rx_generate(t->a);
    }
    if (t->max == UNLIMITED) {
        if (t->min > 0) {
            rx_emit(OP_SPLIT, start);
            return;
        }
        split = rx_emit(OP_SPLIT, 0);
        rx_generate(t->a);
        rx_program[rx_emit(OP_JUMP, 0)].next = (uint16_t)split;
        rx_program[split].arg = (uint16_t)rx_used;
        return;
    }
    for (uint32_t i = t->min; i < t->max && !rx.why; i++) {
        leave = rx_emit(OP_SPLIT, leave);
        rx_generate(t->a);
    }
    while (leave != NOWHERE && !rx.why) {
        uint32_t before = rx_program[leave].arg;
        rx_program[leave].arg = (uint16_t)rx_used;
        leave = before;
    }
}

static void rx_generate_alternatives(uint32_t t) {
    uint32_t leave = NOWHERE, split;
    for (; rx.trees[t].op == R_ALT && !rx.why; t = rx.trees[t].b) {
        split = rx_emit(OP_SPLIT, 0);
        rx_generate(rx.trees[t].a);
        leave = rx_emit(OP_JUMP, leave); /* arg: the list */
        rx_program[split].arg = (uint16_t)rx_used;
    }
    rx_generate(t);
    while (leave != NOWHERE && !rx.why) {
        rx_program[leave].next = (uint16_t)rx_used;
        leave = rx_program[leave].arg;
    }
}

static void rx_generate(uint32_t t) {
    if (rx.why) return;
    for (;;) {
        if (++rx_steps > MAX_STEPS) {
            rx_fail("its repetitions multiply");
            return;
        }
        if (rx.trees[t].op != R_CAT) break;
        rx_generate(rx.trees[t].a);
        t = rx.trees[t].b;
    }
    switch (rx.trees[t].op) {
    case R_SET: rx_emit(OP_CLASS, rx.trees[t].a); break;
    case R_ASSERT: rx_emit(OP_ASSERT, rx.trees[t].a); break;
    case R_ALT: rx_generate_alternatives(t); break;
    case R_REPEAT: rx_generate_repeat(&rx.trees[t]); break;
    }
}

/* ---- Classes of code points ---- */

static uint32_t rx_set_end(uint32_t set) { return set + 1 < rx.sets_used ? rx.sets[set + 1] : rx.ranges_used; }

static void rx_sort_edges(void) {
    uint32_t *e = rx_edges, n = rx_edges_used, out = 0;
    for (uint32_t gap = n / 2; gap; gap = gap == 2 ? 1 : gap * 5 / 11)
        for (uint32_t i = gap; i < n; i++) {
            uint32_t moved = e[i], k = i;
            for (; k >= gap && e[k - gap] > moved; k -= gap) e[k] = e[k - gap];
            e[k] = moved;
        }
    for (uint32_t i = 0; i < n; i++)
        if (i == 0 || e[i] != e[out - 1]) e[out++] = e[i];
    rx_edges_used = out;
}

/* Marks the runs that the set has. */
static void rx_mark(uint32_t set) {
    for (uint32_t i = 0; i < rx_edges_used; i++) rx_marks[i] = 0;
    for (uint32_t r = rx.sets[set]; r < rx_set_end(set); r++)
        for (uint32_t i = find_run(rx_edges, rx_edges_used, rx.ranges[r].lo);
             i < rx_edges_used && rx_edges[i] <= rx.ranges[r].hi; i++)
            rx_marks[i] = 1;
}

/* Splits each class of which the set has only a part. */
static uint32_t rx_refine(uint32_t classes) {
    static uint8_t inside[256], outside[256], split[256];
    for (uint32_t c = 0; c < classes; c++) inside[c] = outside[c] = split[c] = 0;
    for (uint32_t i = 0; i < rx_edges_used; i++) (rx_marks[i] ? inside : outside)[rx_kinds[i]] = 1;
    for (uint32_t c = 0, before = classes; c < before; c++)
        if (inside[c] && outside[c]) {
            if (classes == MAX_CLASSES) {
                rx_fail("it tells apart more than 250 kinds of characters");
                return classes;
            }
            split[c] = (uint8_t)classes++;
        }
    for (uint32_t i = 0; i < rx_edges_used; i++)
        if (rx_marks[i] && split[rx_kinds[i]]) rx_kinds[i] = split[rx_kinds[i]];
    return classes;
}

static uint32_t rx_classify(void) {
    uint32_t classes = 1;
    rx_edges_used = 0;
    rx_edges[rx_edges_used++] = 0;
    for (uint32_t r = 0; r < rx.ranges_used; r++) {
        rx_edges[rx_edges_used++] = rx.ranges[r].lo;
        if (rx.ranges[r].hi < LAST_POINT) rx_edges[rx_edges_used++] = rx.ranges[r].hi + 1;
    }
    rx_sort_edges();
    for (uint32_t i = 0; i < rx_edges_used; i++) rx_kinds[i] = 0;
    for (uint32_t set = 0; set < rx.sets_used && !rx.why; set++) {
        rx_mark(set);
        classes = rx_refine(classes);
    }
    return classes;
}

static void rx_collect(uint32_t set, class_set *to) {
    rx_mark(set);
    for (uint32_t i = 0; i < rx_edges_used; i++)
        if (rx_marks[i]) to->has[rx_kinds[i] >> 5] |= 1u << (rx_kinds[i] & 31);
}

/* ---- All of it ---- */

static int rx_prepare(void) {
    uint32_t used = scratch_used; /* of scratch space nothing is taken: the region is our own */
    region outer = scratch;
    if (!reserve(&rx_region, MAX_TREE * sizeof(tree) + MAX_RANGES * sizeof(range) + MAX_SETS * 4 +
                                 MAX_STATES * sizeof(instruction) + MAX_EDGES * 6 + 64))
        return 0;
    scratch = rx_region;
    scratch_used = 0;
    rx.trees = (tree *)scratch_take(MAX_TREE * sizeof(tree));
    rx.ranges = (range *)scratch_take(MAX_RANGES * sizeof(range));
    rx.sets = (uint32_t *)scratch_take(MAX_SETS * 4);
    rx_program = (instruction *)scratch_take(MAX_STATES * sizeof(instruction));
    rx_edges = (uint32_t *)scratch_take(MAX_EDGES * 4);
    rx_kinds = (uint8_t *)scratch_take(MAX_EDGES);
    rx_marks = (uint8_t *)scratch_take(MAX_EDGES);
    scratch = outer;
    scratch_used = used;
    rx.why = NULL;
    rx.trees_used = rx.groups = rx.ranges_used = rx.sets_used = 0;
    rx.has_edges = 0;
    rx_used = rx_steps = 0;
    return 1;
}

/* Copies what was found into the arena. 0: no memory. */
static int rx_keep(regex *r) {
    uint32_t runs = 0;
    class_set *sets = (class_set *)arena(rx.sets_used * sizeof *sets);
    instruction *program = (instruction *)arena(rx_used * sizeof *program);
    for (uint32_t i = 0; i < rx_edges_used; i++) runs += i == 0 || rx_kinds[i] != rx_kinds[i - 1];
    uint32_t *starts = (uint32_t *)arena(runs * 4);
    uint8_t *kinds = (uint8_t *)arena(runs);
    if (!sets || !program || !starts || !kinds) return 0;
    for (uint32_t i = 0; i < rx_used; i++) program[i] = rx_program[i];
    for (uint32_t s = 0; s < rx.sets_used; s++) rx_collect(s, &sets[s]);
    for (uint32_t i = 0, out = 0; i < rx_edges_used; i++)
        if (i == 0 || rx_kinds[i] != rx_kinds[i - 1]) {
            starts[out] = rx_edges[i];
            kinds[out++] = rx_kinds[i];
        }
    for (uint32_t c = 0; c < 128; c++) r->ascii[c] = kinds[find_run(starts, runs, c)];
    r->program = program;
    r->states = rx_used;
    r->sets = sets;
    r->starts = starts;
    r->kinds = kinds;
    r->runs = runs;
    return 1;
}

/* Whether the program gets nowhere unless it stands at the beginning. */
static int rx_anchored(const instruction *program, uint32_t states) {
    uint8_t *seen = rx_marks;
    uint32_t *stack = rx_edges, top = 0;
    for (uint32_t i = 0; i < states; i++) seen[i] = 0;
    seen[0] = 1;
    for (stack[top++] = 0; top;) {
        const instruction *in = &program[stack[--top]];
        if (in->op == OP_CLASS || in->op == OP_MATCH) return 0;
        if (in->op == OP_ASSERT && in->arg == AT_BEGIN) continue;
        if (!seen[in->next]) seen[stack[top++] = in->next] = 1;
        if (in->op == OP_SPLIT && !seen[in->arg]) seen[stack[top++] = in->arg] = 1;
    }
    return 1;
}

/* Compiles text, which stays where it is. Returns what is wrong with it, NULL
 * where nothing is; *made is NULL where memory ran out. */
static const char *regex_compile(const char *text, uint32_t len, regex **made) {
    regex *r = (regex *)arena(sizeof *r);
    uint32_t word = 0, root;
    *made = NULL;
    if (!r || !rx_prepare()) return NULL;
    rx.at = text;
    rx.end = text + len;
    root = rx_alternatives();
    if (rx.at < rx.end) rx_fail("a ) has no (");
    if (rx.has_edges && !rx.why) {
        word = rx_begin_set();
        if (!rx.why) rx_word();
    }
    if (!rx.why) rx_generate(root);
    if (!rx.why) rx_emit(OP_MATCH, 0);
    if (!rx.why) r->classes = rx_classify();
    if (rx.why) return rx.why;
    if (!rx_keep(r)) return NULL;
    if (rx.has_edges) rx_collect(word, &r->word);
    r->has_edges = rx.has_edges;
    r->anchored = rx_anchored(r->program, r->states);
    r->text = text;
    r->text_len = len;
    *made = r;
    return NULL;
}

#endif

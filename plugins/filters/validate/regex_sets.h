/* regex_sets.h: the state of a regular expression's compilation, and sets of
 * code points, as ranges: those of classes, escapes and general categories. */
#ifndef VALIDATE_REGEX_SETS_H
#define VALIDATE_REGEX_SETS_H

enum { R_EMPTY, R_SET, R_CAT, R_ALT, R_REPEAT, R_ASSERT };
enum { MAX_TREE = 6000, MAX_RANGES = 12000, MAX_SETS = 1000, MAX_GROUPS = 60, MAX_REPEAT = 1000 };
enum { LAST_POINT = 0x10FFFF };

typedef struct {
    uint8_t op;
    uint32_t a, b;     /* children; set: its number; assert: what */
    uint32_t min, max; /* repeat */
} tree;

typedef struct {
    uint32_t lo, hi;
} range;

/* A compilation: what it needs lies in scratch space. */
typedef struct {
    const char *at, *end;
    const char *why; /* what is wrong, NULL: nothing */
    tree *trees;
    uint32_t trees_used, groups;
    range *ranges;
    uint32_t ranges_used;
    uint32_t *sets; /* where each set's ranges begin; the next one's beginning ends them */
    uint32_t sets_used;
    int has_edges;
} regex_parser;

static regex_parser rx;

static uint32_t rx_fail(const char *why) {
    if (!rx.why) rx.why = why;
    rx.at = rx.end;
    return 0;
}

static uint32_t rx_begin_set(void) {
    if (rx.sets_used == MAX_SETS) return rx_fail("it has too many character classes");
    rx.sets[rx.sets_used] = rx.ranges_used;
    return rx.sets_used++;
}
static void rx_range(uint32_t lo, uint32_t hi) {
    if (rx.ranges_used == MAX_RANGES) {
        rx_fail("its character classes are too large");
        return;
    }
    rx.ranges[rx.ranges_used].lo = lo;
    rx.ranges[rx.ranges_used++].hi = hi;
}

static void rx_sort(range *r, uint32_t n) {
    for (uint32_t gap = n / 2; gap; gap = gap == 2 ? 1 : gap * 5 / 11)
        for (uint32_t i = gap; i < n; i++) {
            range moved = r[i];
            uint32_t k = i;
            for (; k >= gap && r[k - gap].lo > moved.lo; k -= gap) r[k] = r[k - gap];
            r[k] = moved;
        }
}

/* Replaces the ranges from first on by what they leave out. */
static void rx_invert(uint32_t first) {
    range *r = rx.ranges + first;
    uint32_t n = rx.ranges_used - first, out = 0, next = 0;
    rx_sort(r, n);
    for (uint32_t i = 0; i < n; i++) { /* out never overtakes i */
        range x = r[i];
        if (x.lo > next) {
            r[out].lo = next;
            r[out++].hi = x.lo - 1;
        }
        if (x.hi + 1 > next) next = x.hi + 1;
    }
    rx.ranges_used = first + out;
    if (next <= LAST_POINT) rx_range(next, LAST_POINT);
}

static void rx_digit(void) { rx_range('0', '9'); }
static void rx_word(void) {
    rx_range('0', '9');
    rx_range('A', 'Z');
    rx_range('_', '_');
    rx_range('a', 'z');
}
static void rx_space(void) {
    static const uint32_t spaces[][2] = {{9, 13}, {0x20, 0x20}, {0xA0, 0xA0}, {0x1680, 0x1680}, {0x2000, 0x200A},
        {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
    for (uint32_t i = 0; i < sizeof spaces / sizeof *spaces; i++) rx_range(spaces[i][0], spaces[i][1]);
}
static void rx_newlines(void) {
    rx_range('\n', '\n');
    rx_range('\r', '\r');
    rx_range(0x2028, 0x2029);
}

/* The categories, as bits of their numbers in unicode.h, by all their names. */
static const struct {
    const char *names;
    uint32_t bits;
} categories[] = {
    {"Lu Uppercase_Letter", 1 << 0}, {"Ll Lowercase_Letter", 1 << 1}, {"Lt Titlecase_Letter", 1 << 2},
    {"Lm Modifier_Letter", 1 << 3}, {"Lo Other_Letter", 1 << 4}, {"LC Cased_Letter", 7}, {"L Letter", 0x1F},
    {"Mn Nonspacing_Mark", 1 << 5}, {"Mc Spacing_Mark", 1 << 6}, {"Me Enclosing_Mark", 1 << 7},
    {"M Mark Combining_Mark", 0xE0}, {"Nd Decimal_Number digit", 1 << 8}, {"Nl Letter_Number", 1 << 9},
    {"No Other_Number", 1 << 10}, {"N Number", 0x700}, {"Pc Connector_Punctuation", 1 << 11},
    {"Pd Dash_Punctuation", 1 << 12}, {"Ps Open_Punctuation", 1 << 13}, {"Pe Close_Punctuation", 1 << 14},
    {"Pi Initial_Punctuation", 1 << 15}, {"Pf Final_Punctuation", 1 << 16}, {"Po Other_Punctuation", 1 << 17},
    {"P Punctuation punct", 0x3F800}, {"Sm Math_Symbol", 1 << 18}, {"Sc Currency_Symbol", 1 << 19},
    {"Sk Modifier_Symbol", 1 << 20}, {"So Other_Symbol", 1 << 21}, {"S Symbol", 0x3C0000},
    {"Zs Space_Separator", 1 << 22}, {"Zl Line_Separator", 1 << 23}, {"Zp Paragraph_Separator", 1 << 24},
    {"Z Separator", 0x1C00000}, {"Cc Control cntrl", 1 << 25}, {"Cf Format", 1 << 26}, {"Cs Surrogate", 1 << 27},
    {"Co Private_Use", 1 << 28}, {"Cn Unassigned", 1 << 29}, {"C Other", 0x3E000000},
    {"Any", 0x3FFFFFFF}, {"Assigned", 0x1FFFFFFF},
};

/* Whether the name is one of a list separated by spaces. */
static int in_list(const char *list, const char *name, uint32_t len) {
    while (*list) {
        uint32_t i = 0;
        while (i < len && list[i] == name[i]) i++;
        if (i == len && (list[i] == ' ' || list[i] == 0)) return 1;
        while (*list && *list != ' ') list++;
        if (*list) list++;
    }
    return 0;
}

static void rx_categories(uint32_t bits) {
    uint32_t at = 0, run = 0; /* a run not yet written begins at run - 1; 0: there is none */
    for (uint32_t i = 0; i < sizeof unicode_runs;) {
        uint32_t category = unicode_runs[i] & 31, n = unicode_runs[i] >> 5;
        if (n == 0) {
            uint32_t shift = 0;
            do n |= (uint32_t)(unicode_runs[++i] & 0x7F) << shift, shift += 7;
            while (unicode_runs[i] >= 0x80);
        }
        i++;
        for (uint32_t end = at + n; at < end;) { /* usually once */
            uint32_t which = category < 30 ? category : (end - at) & 1;
            if (bits >> which & 1) {
                if (!run) run = at + 1;
            } else if (run) {
                rx_range(run - 1, at - 1);
                run = 0;
            }
            at = category < 30 ? end : at + 1;
        }
    }
    if (run) rx_range(run - 1, LAST_POINT);
}

#endif

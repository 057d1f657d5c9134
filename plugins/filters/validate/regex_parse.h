/* regex_parse.h: reads a regular expression of ECMA-262, as with its u flag.
 *
 * What cannot be matched in linear time is refused by name: look-around and
 * back-references. Where the u flag is stricter than what people write, the
 * common meaning is taken: an escaped punctuation mark is itself, and a brace
 * that begins no quantifier is itself. */
#ifndef VALIDATE_REGEX_PARSE_H
#define VALIDATE_REGEX_PARSE_H

static uint32_t rx_tree(uint8_t op, uint32_t a, uint32_t b) {
    if (rx.trees_used == MAX_TREE) return rx_fail("it is too long");
    tree *t = &rx.trees[rx.trees_used];
    t->op = op;
    t->a = a;
    t->b = b;
    return rx.trees_used++;
}

/* Behind \p or \P: {Letter}, {L}, {General_Category=Letter}, {gc=L}. */
static void rx_property(void) {
    const char *name, *stop;
    if (rx.at == rx.end || *rx.at != '{') {
        rx_fail("\\p needs braces, as in \\p{Letter}");
        return;
    }
    name = stop = rx.at + 1;
    while (stop < rx.end && *stop != '}') {
        if (*stop == '=' && in_list("gc General_Category", name, (uint32_t)(stop - name))) name = stop + 1;
        stop++;
    }
    if (stop == rx.end) {
        rx_fail("\\p{ has no closing brace");
        return;
    }
    rx.at = stop + 1;
    if (in_list("ASCII", name, (uint32_t)(stop - name))) {
        rx_range(0, 127);
        return;
    }
    for (uint32_t i = 0; i < sizeof categories / sizeof *categories; i++)
        if (stop > name && in_list(categories[i].names, name, (uint32_t)(stop - name))) {
            rx_categories(categories[i].bits);
            return;
        }
    rx_fail("\\p{...} names no general category: scripts and other properties are not supported");
}

/* Adds what \d, \w, \s, \p and their opposites mean; c is the letter. 0: it is none of them. */
static int rx_class_escape(uint32_t c) {
    uint32_t first = rx.ranges_used;
    switch (c | 32) {
    case 'd': rx_digit(); break;
    case 'w': rx_word(); break;
    case 's': rx_space(); break;
    case 'p': rx_property(); break;
    default: return 0;
    }
    if (c < 'a' && !rx.why) rx_invert(first);
    return 1;
}

/* ---- Escapes ---- */

static uint32_t rx_hex(uint32_t digits) {
    uint32_t v = 0;
    for (; digits; digits--, rx.at++) {
        uint32_t c = rx.at < rx.end ? (uint8_t)*rx.at : 0, d = c - '0' < 10 ? c - '0' : (c | 32) - 'a' < 6 ? (c | 32) - 'a' + 10 : 16;
        if (d == 16) return rx_fail("\\x needs two, \\u four hexadecimal digits");
        v = v << 4 | d;
    }
    return v;
}

/* Behind \u. */
static uint32_t rx_unicode(void) {
    uint32_t v = 0, low;
    if (rx.at < rx.end && *rx.at == '{') {
        for (rx.at++; rx.at < rx.end && *rx.at != '}' && v <= LAST_POINT;) v = v << 4 | rx_hex(1);
        if (rx.at == rx.end || v > LAST_POINT) return rx_fail("\\u{...} is no code point");
        rx.at++;
        return v;
    }
    v = rx_hex(4);
    if (v - 0xD800 < 0x400 && rx.end - rx.at >= 6 && rx.at[0] == '\\' && rx.at[1] == 'u') {
        const char *before = rx.at;
        rx.at += 2;
        low = rx_hex(4);
        if (low - 0xDC00 < 0x400) return 0x10000 + ((v - 0xD800) << 10) + (low - 0xDC00);
        if (!rx.why) rx.at = before;
    }
    return v;
}

/* An escape that is one code point; c is the letter behind the backslash. */
static uint32_t rx_escape(uint32_t c) {
    static const char letters[] = "tnvfr", means[] = "\t\n\v\f\r";
    for (uint32_t i = 0; i < 5; i++)
        if (c == (uint8_t)letters[i]) return (uint8_t)means[i];
    if (c == 'x') return rx_hex(2);
    if (c == 'u') return rx_unicode();
    if (c == 'c') {
        uint32_t letter = rx.at < rx.end ? (uint8_t)*rx.at : 0;
        if ((letter | 32) - 'a' > 25) return rx_fail("\\c needs a letter");
        rx.at++;
        return letter & 31;
    }
    if (c == '0' && (rx.at == rx.end || (uint8_t)(*rx.at - '0') > 9)) return 0;
    if (c == 'k') return rx_fail("back-references (\\k<name>) cannot be matched in linear time");
    if (c - '0' < 10) return rx_fail("back-references and octal escapes (\\1, \\01) are not supported: the first cannot be matched in linear time");
    if ((c | 32) - 'a' < 26) return rx_fail("a letter has a backslash that means nothing in ECMA-262");
    return c;
}

/* ---- Character classes ---- */

/* One element of a class. Returns 1 and the code point, or 0 for a set of them. */
static int rx_class_atom(uint32_t *point) {
    uint32_t c = get_utf8(&rx.at, rx.end);
    *point = c;
    if (c != '\\') return 1;
    if (rx.at == rx.end) return (int)rx_fail("it ends with a backslash");
    c = get_utf8(&rx.at, rx.end);
    if (rx_class_escape(c)) return 0;
    *point = c == 'b' ? 8 : rx_escape(c);
    return 1;
}

/* Behind the opening bracket. */
static uint32_t rx_class(void) {
    uint32_t set = rx_begin_set(), lo, hi;
    int inverted = rx.at < rx.end && *rx.at == '^';
    if (rx.why) return 0;
    rx.at += inverted;
    while (rx.at < rx.end && *rx.at != ']') {
        int single = rx_class_atom(&lo);
        if (rx.why) return 0;
        if (rx.end - rx.at >= 2 && rx.at[0] == '-' && rx.at[1] != ']') {
            rx.at++;
            if (single && rx_class_atom(&hi)) {
                if (hi < lo) return rx_fail("a range in a character class is in the wrong order");
                rx_range(lo, hi);
                continue;
            }
            if (!rx.why) return rx_fail("a class such as \\d cannot be the end of a range: write \\- for a hyphen");
            return 0;
        }
        if (single) rx_range(lo, lo);
    }
    if (rx.at == rx.end) return rx_fail("a [ has no ]");
    rx.at++;
    if (inverted) rx_invert(rx.sets[set]);
    return rx_tree(R_SET, set, 0);
}

static uint32_t rx_point(uint32_t c) {
    uint32_t set = 0;
    for (; set < rx.sets_used; set++) { /* was it met before? */
        uint32_t from = rx.sets[set], to = set + 1 < rx.sets_used ? rx.sets[set + 1] : rx.ranges_used;
        if (to - from == 1 && rx.ranges[from].lo == c && rx.ranges[from].hi == c) return rx_tree(R_SET, set, 0);
    }
    set = rx_begin_set();
    if (!rx.why) rx_range(c, c);
    return rx_tree(R_SET, set, 0);
}

/* ---- Terms ---- */

static uint32_t rx_alternatives(void);

/* Behind the opening parenthesis. */
static uint32_t rx_group(void) {
    uint32_t inside;
    if (rx.at < rx.end && *rx.at == '?') {
        char c = rx.end - rx.at > 1 ? rx.at[1] : 0, d = rx.end - rx.at > 2 ? rx.at[2] : 0;
        if (c == '=' || c == '!') return rx_fail("look-ahead, (?= or (?!, cannot be matched in linear time");
        if (c == '<' && (d == '=' || d == '!')) return rx_fail("look-behind, (?<= or (?<!, cannot be matched in linear time");
        if (c == '<') {
            while (rx.at < rx.end && *rx.at != '>') rx.at++;
            if (rx.at == rx.end) return rx_fail("a group's name has no >");
            rx.at++;
        } else if (c == ':') {
            rx.at += 2;
        } else {
            return rx_fail("(?...) with flags is not supported");
        }
    }
    if (++rx.groups > MAX_GROUPS) return rx_fail("its parentheses are nested too deep");
    inside = rx_alternatives();
    rx.groups--;
    if (rx.at == rx.end || *rx.at != ')') return rx_fail("a ( has no )");
    rx.at++;
    return inside;
}

static uint32_t rx_assert(uint32_t what) {
    rx.has_edges |= what == AT_WORD_EDGE || what == NOT_AT_WORD_EDGE;
    return rx_tree(R_ASSERT, what, 0);
}

static uint32_t rx_atom(void) {
    uint32_t c = get_utf8(&rx.at, rx.end), set;
    switch (c) {
    case '^': return rx_assert(AT_BEGIN);
    case '$': return rx_assert(AT_END);
    case '(': return rx_group();
    case '[': return rx_class();
    case '*':
    case '+':
    case '?': return rx_fail("a quantifier has nothing to repeat");
    case '.':
        set = rx_begin_set();
        if (rx.why) return 0;
        rx_newlines();
        rx_invert(rx.sets[set]);
        return rx_tree(R_SET, set, 0);
    case '\\': break;
    default: return rx_point(c);
    }
    if (rx.at == rx.end) return rx_fail("it ends with a backslash");
    c = get_utf8(&rx.at, rx.end);
    if (c == 'b' || c == 'B') return rx_assert(c == 'b' ? AT_WORD_EDGE : NOT_AT_WORD_EDGE);
    if ((c | 32) == 'd' || (c | 32) == 'w' || (c | 32) == 's' || (c | 32) == 'p') {
        set = rx_begin_set();
        if (!rx.why) rx_class_escape(c);
        return rx_tree(R_SET, set, 0);
    }
    return rx_point(rx_escape(c));
}

/* Reads digits; 0 where there are none. */
static int rx_count(const char **p, uint32_t *n) {
    const char *from = *p;
    for (*n = 0; *p < rx.end && (uint8_t)(**p - '0') <= 9; (*p)++)
        if (*n <= MAX_REPEAT) *n = *n * 10 + (uint32_t)(**p - '0');
    return *p > from;
}

/* Reads a quantifier, if one is here. */
static int rx_quantifier(uint32_t *min, uint32_t *max) {
    const char *p = rx.at + 1;
    if (rx.at == rx.end) return 0;
    *min = *rx.at == '+';
    *max = *rx.at == '?' ? 1 : UNLIMITED;
    if (*rx.at == '{') {
        if (p < rx.end && *p == ',' && p + 1 < rx.end && (uint8_t)(p[1] - '0') <= 9)
            return (int)rx_fail("{,n} is no quantifier of ECMA-262: write {0,n}");
        if (!rx_count(&p, min)) return 0;
        *max = *min;
        if (p < rx.end && *p == ',') {
            p++;
            if (!rx_count(&p, max)) *max = UNLIMITED;
        }
        if (p == rx.end || *p++ != '}') return 0;
        if (*max < *min) return (int)rx_fail("a quantifier {n,m} is in the wrong order");
        if (*min > MAX_REPEAT || (*max != UNLIMITED && *max > MAX_REPEAT))
            return (int)rx_fail("a quantifier repeats more than 1000 times");
    } else if (*rx.at != '*' && *rx.at != '+' && *rx.at != '?') {
        return 0;
    }
    if (p < rx.end && *p == '?') p++; /* lazy: it finds the same texts */
    rx.at = p;
    return 1;
}

static uint32_t rx_term(void) {
    uint32_t atom = rx_atom(), min, max, t;
    if (rx.why || !rx_quantifier(&min, &max)) return atom;
    if (rx.trees[atom].op == R_ASSERT) return rx_fail("a quantifier repeats ^, $, \\b or \\B");
    t = rx_tree(R_REPEAT, atom, 0);
    rx.trees[t].min = min;
    rx.trees[t].max = max;
    return t;
}

/* A sequence leans to the right, so that who walks it can loop. */
static uint32_t rx_sequence(void) {
    uint32_t first = rx_tree(R_EMPTY, 0, 0), last = first, term;
    while (rx.at < rx.end && *rx.at != '|' && *rx.at != ')') {
        term = rx_term();
        if (rx.trees[last].op == R_EMPTY) { /* the first term */
            first = last = rx_tree(R_CAT, term, first);
            rx.trees[last].b = rx_tree(R_EMPTY, 0, 0);
        } else {
            term = rx_tree(R_CAT, term, rx.trees[last].b);
            rx.trees[last].b = term;
            last = term;
        }
    }
    return first;
}

static uint32_t rx_alternatives(void) {
    uint32_t all = rx_sequence(), last = 0, one;
    int several = 0;
    while (rx.at < rx.end && *rx.at == '|') {
        rx.at++;
        one = rx_sequence();
        if (!several) {
            all = last = rx_tree(R_ALT, all, one);
        } else {
            one = rx_tree(R_ALT, rx.trees[last].b, one);
            rx.trees[last].b = one;
            last = one;
        }
        several = 1;
    }
    return all;
}

#endif

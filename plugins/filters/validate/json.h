/* json.h: reads JSON text into a tape.
 *
 * The tape is one array of nodes in the order of the text. A container is
 * followed by its children, an object's by turns a key and its value; span is
 * the number of nodes that a value takes with all that is inside it, so that
 * v + v->span is what follows it. Strings are decoded where they stand, in the
 * text itself, which is this filter's own memory; a lone surrogate becomes the
 * three bytes that UTF-8 would have for it. Keys are hashed on the way, and an
 * object with a key twice is refused: two programs that read it might
 * disagree about what it says. A number whose exponent has more than 15 digits
 * is refused too: no two programs agree about those either. */
#ifndef VALIDATE_JSON_H
#define VALIDATE_JSON_H

enum { T_NULL, T_BOOL, T_NUMBER, T_STRING, T_ARRAY, T_OBJECT };
enum { JSON_OK, JSON_MALFORMED, JSON_TOO_DEEP, JSON_DUPLICATE, JSON_EXPONENT, JSON_NO_MEMORY };
enum { MAX_NEST = 64 };

typedef struct {
    uint8_t type, is_true;
    uint32_t span;
    const char *at; /* string: its first byte, decoded; else where it begins in the text */
    uint32_t len;   /* of a string or a number, in bytes */
    uint32_t tag;   /* key: its hash; array, object: how many elements or members */
} node;

typedef struct {
    node *root;
    uint32_t count;
    node *culprit; /* after JSON_DUPLICATE: the second key; after JSON_EXPONENT: the number */
} tape;

/* ---- Strings ---- */

#define EACH_BYTE(c) ((c) * 0x0101010101010101u)

/* A bit in each byte of x that is zero; exact for the lowest one. */
static uint64_t zero_bytes(uint64_t x) { return (x - EACH_BYTE(1)) & ~x & EACH_BYTE(0x80); }

/* The next quote or backslash from p on; end where there is none. */
static __attribute__((noinline)) char *find_special(char *p, char *end) {
    while (end - p >= 8) {
        uint64_t x = load8(p), hit = zero_bytes(x ^ EACH_BYTE('"')) | zero_bytes(x ^ EACH_BYTE('\\'));
        if (hit) return p + (__builtin_ctzll(hit) >> 3);
        p += 8;
    }
    while (p < end && *p != '"' && *p != '\\') p++;
    return p;
}

#define NO_UNIT 0xFFFFFFFFu

static uint32_t hex_unit(const char *p, const char *end) {
    uint32_t unit = 0;
    if (end - p < 4) return NO_UNIT;
    for (int i = 0; i < 4; i++) {
        uint32_t c = (uint8_t)p[i], digit = c - '0' < 10 ? c - '0' : (c | 32) - 'a' < 6 ? (c | 32) - 'a' + 10 : 16;
        if (digit == 16) return NO_UNIT;
        unit = unit << 4 | digit;
    }
    return unit;
}

/* Decodes from the backslash at p on, in place, up to the closing quote, and
 * returns what is behind that; NULL for a mistake. *to becomes the end of the
 * decoded string. */
static __attribute__((noinline)) char *decode_rest(char *p, char *end, char **to) {
    static const char plain[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    char *out = p;
    while (p < end && *p != '"') {
        char *run;
        if (*p != '\\') {
            for (run = find_special(p, end); p < run;) *out++ = *p++;
            continue;
        }
        if (++p == end) return NULL;
        if (*p == 'u') {
            uint32_t unit = hex_unit(p + 1, end), low;
            if (unit == NO_UNIT) return NULL;
            p += 5;
            if (unit >= 0xD800 && unit < 0xDC00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u' &&
                (low = hex_unit(p + 2, end)) - 0xDC00 < 0x400) {
                unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
                p += 6;
            }
            out += put_utf8(out, unit);
        } else {
            uint32_t i = 0;
            while (plain[i] && plain[i] != *p) i++;
            if (!plain[i]) return NULL;
            *out++ = means[i];
            p++;
        }
    }
    *to = out;
    return p < end ? p + 1 : NULL;
}

/* Reads the string behind the quote before p into n. */
static char *read_string(char *p, char *end, node *n) {
    char *stop = find_special(p, end), *next = stop + 1;
    if (stop == end) return NULL;
    n->at = p;
    if (*stop == '\\' && (next = decode_rest(stop, end, &stop)) == NULL) return NULL;
    n->type = T_STRING;
    n->span = 1;
    n->len = (uint32_t)(stop - p);
    return next;
}

/* ---- Duplicate keys ---- */

static int same_key(const node *a, const node *b) {
    return a->tag == b->tag && a->len == b->len && same_bytes(a->at, b->at, a->len);
}

static __attribute__((minsize)) node *duplicate_in_table(node *object) {
    uint32_t size = table_size(object->tag), used = scratch_used, slot;
    node **table, *key = object + 1;
    if ((table = (node **)scratch_clear(size * (uint32_t)sizeof *table)) == NULL) return object;
    for (uint32_t i = 0; i < object->tag; i++) {
        for (slot = key->tag & (size - 1); table[slot]; slot = (slot + 1) & (size - 1))
            if (same_key(table[slot], key)) return key;
        table[slot] = key;
        key += 1 + key[1].span;
    }
    scratch_used = used;
    return NULL;
}

/* The second of two equal keys; NULL where there is none; the object itself
 * where memory ran out. */
static __attribute__((noinline, minsize)) node *duplicate_of(node *object) {
    node *a = object + 1;
    if (object->tag > 12) return duplicate_in_table(object);
    for (uint32_t i = 1; i < object->tag; i++) {
        node *b = object + 1;
        a += 1 + a[1].span;
        for (uint32_t k = 0; k < i; k++, b += 1 + b[1].span)
            if (same_key(a, b)) return a;
    }
    return NULL;
}

/* ---- Values ---- */

enum { EXPONENT_DIGITS = 15 };

/* Whether the digits of an exponent, from p on, are more than are read. */
static int exponent_too_long(const char *p, const char *end) {
    if (end - p <= EXPONENT_DIGITS) return 0;
    if (*p == '-' || *p == '+') p++;
    while (p < end && *p == '0') p++;
    return end - p > EXPONENT_DIGITS;
}

static region tape_region;

/* Makes room for the tape of a text: a value takes at least two bytes with the
 * separator behind it. */
static int tape_begin(tape *t, uint32_t text) {
    uint32_t most = text / 2 + 2;
    if (most > 0x7FFFFFFF / sizeof(node) || !reserve(&tape_region, most * (uint32_t)sizeof(node))) return 0;
    t->root = (node *)(void *)tape_region.at;
    t->count = 0;
    t->culprit = NULL;
    return 1;
}

static char *skip_space(char *p, char *end) {
    while (p < end && (uint8_t)*p <= ' ') p++;
    return p;
}

/* NULL: it is no value, or a number with an exponent too long. */
static char *read_scalar(char *p, char *end, node *n) {
    static const char words[3][6] = {"null", "true", "false"};
    char *from = p, *exponent = NULL;
    n->span = 1;
    n->at = p;
    if (*p == '-' || (*p >= '0' && *p <= '9')) {
        for (p++; p < end; p++) {
            uint32_t c = (uint8_t)*p;
            if (c - '0' <= 9 || c == '.' || c == '+' || c == '-') continue;
            if ((c | 32) != 'e') break;
            exponent = p + 1;
        }
        n->type = T_NUMBER;
        n->len = (uint32_t)(p - from);
        return exponent && exponent_too_long(exponent, p) ? NULL : p;
    }
    int which = *p == 'n' ? 0 : *p == 't' ? 1 : 2;
    uint32_t length = which == 2 ? 5 : 4;
    if ((uint32_t)(end - p) < length || !same_bytes(p, words[which], length)) return NULL;
    n->type = which == 0 ? T_NULL : T_BOOL;
    n->is_true = which == 1;
    n->len = length;
    return p + length;
}

/* The containers that are open. */
static struct {
    node *n;
    uint64_t keys; /* a bit for each hash seen: most objects need no closer look */
    int suspect;
} opened[MAX_NEST];

/* Stops at the culprit: the containers around it end as if nothing followed, so that its path can be told. */
static int stop_at(tape *t, node *culprit, uint32_t depth, node *after, int why) {
    t->culprit = culprit;
    for (uint32_t i = 0; i < depth; i++) {
        opened[i].n->span = (uint32_t)(after - opened[i].n);
        opened[i].n->tag++;
    }
    return why;
}

/* Ends the innermost container, which depth others are around. */
static int close_container(tape *t, uint32_t depth, node *after) {
    node *n = opened[depth].n, *twice;
    n->span = (uint32_t)(after - n);
    if (!opened[depth].suspect) return JSON_OK;
    if (n->tag > 12 && !scratch_reserve(n->tag * 3 * (uint32_t)sizeof(node *) + 64)) return JSON_NO_MEMORY;
    if ((twice = duplicate_of(n)) == NULL) return JSON_OK;
    return stop_at(t, twice, depth, after, JSON_DUPLICATE);
}

/* Reads a key of the container, and the colon, and goes to the value; NULL for a mistake. */
static inline char *read_key(char *p, char *end, node *n, uint32_t container) {
    uint64_t bit;
    if (*p != '"' || (p = read_string(p + 1, end, n)) == NULL) return NULL;
    n->tag = hash_bytes(n->at, n->len);
    bit = (uint64_t)1 << (n->tag >> 26);
    opened[container].suspect |= (opened[container].keys & bit) != 0;
    opened[container].keys |= bit;
    p = skip_space(p, end);
    if (p == end || *p != ':') return NULL;
    p = skip_space(p + 1, end);
    return p < end ? p : NULL;
}

/* Reads the text into the tape, decoding its strings in place. The host hands
 * over valid JSON; whatever else arrives is refused or misread, but never read
 * beyond its end. */
static int tape_read(tape *t, char *p, uint32_t length) {
    char *end = p + length;
    uint32_t depth = 0;
    node *n;
    int fault;
    if (!tape_begin(t, length)) return JSON_NO_MEMORY;
    n = t->root;
    scratch_used = 0;
    for (;;) {
        p = skip_space(p, end);
        if (p == end) return JSON_MALFORMED;
        if (depth && opened[depth - 1].n->type == T_OBJECT) { /* a key comes before its value */
            if ((p = read_key(p, end, n++, depth - 1)) == NULL) return JSON_MALFORMED;
        }
        if (*p == '"') {
            if ((p = read_string(p + 1, end, n)) == NULL) return JSON_MALFORMED;
            n++;
        } else if (*p == '{' || *p == '[') {
            char close = (char)(*p + 2); /* as in ASCII */
            if (depth == MAX_NEST) return JSON_TOO_DEEP;
            n->type = *p == '{' ? T_OBJECT : T_ARRAY;
            n->at = p;
            n->len = n->tag = 0;
            n->span = 1;
            p = skip_space(p + 1, end);
            if (p < end && *p == close) {
                n++;
                p++;
            } else {
                opened[depth].n = n++;
                opened[depth].keys = 0;
                opened[depth].suspect = 0;
                depth++;
                continue;
            }
        } else {
            n->type = T_NULL;
            if ((p = read_scalar(p, end, n)) == NULL) {
                return stop_at(t, n, depth, n + 1, n->type == T_NUMBER ? JSON_EXPONENT : JSON_MALFORMED);
            }
            n++;
        }
        for (;;) { /* a value has ended, and with it perhaps containers */
            p = skip_space(p, end);
            if (depth == 0) {
                t->count = (uint32_t)(n - t->root);
                return p == end ? JSON_OK : JSON_MALFORMED;
            }
            opened[depth - 1].n->tag++;
            if (p == end) return JSON_MALFORMED;
            char c = *p++;
            if (c == ',') break;
            if (c != (opened[depth - 1].n->type == T_OBJECT ? '}' : ']')) return JSON_MALFORMED;
            depth--;
            if ((fault = close_container(t, depth, n)) != JSON_OK) return fault;
        }
    }
}

/* The value of the member with that key; NULL where there is none. */
static const node *member(const node *object, const char *key, uint32_t len, uint32_t hash) {
    const node *k = object + 1;
    for (uint32_t i = 0; i < object->tag; i++, k += 1 + k[1].span)
        if (k->tag == hash && k->len == len && same_bytes(k->at, key, len)) return k + 1;
    return NULL;
}

#endif

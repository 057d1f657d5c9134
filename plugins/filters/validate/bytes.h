/* bytes.h: runs of bytes: compared, hashed, and read as UTF-8. */
#ifndef VALIDATE_BYTES_H
#define VALIDATE_BYTES_H

static uint64_t load8(const char *p) {
    uint64_t x;
    __builtin_memcpy(&x, p, 8);
    return x;
}
static uint32_t load4(const char *p) {
    uint32_t x;
    __builtin_memcpy(&x, p, 4);
    return x;
}

static int same_bytes(const char *a, const char *b, uint32_t n) {
    while (n >= 8) {
        if (load8(a) != load8(b)) return 0;
        a += 8;
        b += 8;
        n -= 8;
    }
    while (n--)
        if (*a++ != *b++) return 0;
    return 1;
}

/* What may still be done for one message, in steps of about 8 ns: patterns,
 * schemas and comparisons all take from it. Below 0: there is no result. */
enum { MESSAGE_STEPS = 250000 };
static int32_t steps_left;

static void spend(uint32_t steps) { steps_left -= (int32_t)steps; }

/* Set when the filter is configured, to what a sender cannot know: keys that
 * collide would make objects costly. */
static uint64_t hash_seed;

static uint64_t hash_mix(uint64_t h, uint64_t word) {
    h = (h ^ word) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}

static __attribute__((noinline)) uint32_t hash_bytes(const char *p, uint32_t n) {
    uint64_t h = hash_seed + n;
    for (; n >= 8; p += 8, n -= 8) h = hash_mix(h, load8(p));
    if (n >= 4)
        h = hash_mix(h, load4(p) | (uint64_t)load4(p + n - 4) << 32);
    else if (n)
        h = hash_mix(h, (uint8_t)p[0] | (uint32_t)(uint8_t)p[n / 2] << 8 | (uint32_t)(uint8_t)p[n - 1] << 16);
    h *= 0xD6E8FEB86659FD93u;
    return (uint32_t)(h >> 32);
}

/* Writes a code point as UTF-8, and returns its length. */
static uint32_t put_utf8(char *to, uint32_t c) {
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    uint32_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (uint32_t i = n - 1; i > 0; i--, c >>= 6) to[i] = (char)(0x80 | (c & 0x3F));
    to[0] = (char)(((0xF00u >> n) & 0xFF) | c);
    return n;
}

/* Reads a code point at *p, which is before end, and goes behind it. A byte
 * that is no UTF-8 counts as one. */
static uint32_t get_utf8(const char **p, const char *end) {
    uint32_t c = (uint8_t) * (*p)++, more, v;
    if (c < 0xC0) return c;
    more = c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
    if ((uint32_t)(end - *p) < more) return c;
    v = c & (0x3Fu >> more);
    for (uint32_t i = 0; i < more; i++) {
        uint32_t b = (uint8_t)(*p)[i];
        if ((b & 0xC0) != 0x80) return c;
        v = v << 6 | (b & 0x3F);
    }
    *p += more;
    return v;
}

/* How many code points a string has. */
static __attribute__((noinline)) uint32_t count_points(const char *p, uint32_t n) {
    uint32_t extra = 0, all = n;
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t x = load8(p);
        if (x & 0x8080808080808080u) extra += (uint32_t)__builtin_popcountll((x >> 7) & (~x >> 6) & 0x0101010101010101u);
    }
    for (; n; p++, n--) extra += (*p & 0xC0) == 0x80;
    return all - extra;
}

#endif

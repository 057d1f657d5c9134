/* number.h: numbers as their decimal digits, compared exactly.
 *
 * A number that is a whole one of up to 18 digits is an int64; any other is
 * compared digit by digit in the text where it stands, so that nothing is
 * rounded and nothing is allocated, whatever its length. Exponents have up to
 * 15 digits, see json.h. */
#ifndef VALIDATE_NUMBER_H
#define VALIDATE_NUMBER_H

typedef struct {
    const char *text;
    uint32_t len;
    int small; /* v is the number */
    int64_t v;

    /* Of a number that is not small, or was widened: its value is
     * 0.d1d2d3… × 10^point, and its digits d1 to the last that is not zero lie
     * between from and to, where a point may lie too. No digits: zero. */
    int wide, negative;
    const char *from, *to;
    uint32_t digits;
    int64_t point;
} number;

/* Reads the exponent behind e. */
static int64_t read_exponent(const char *p, const char *end) {
    int negative = p < end && *p == '-';
    int64_t v = 0;
    if (p < end && (*p == '-' || *p == '+')) p++;
    for (; p < end; p++) v = v * 10 + (*p - '0');
    return negative ? -v : v;
}

/* Fills in the digits. */
static void number_widen(number *n) {
    const char *p = n->text, *end = p + n->len, *stop = p, *dot = NULL;
    int64_t exponent = 0;
    if (n->wide) return;
    n->wide = 1;
    n->digits = 0;
    n->point = 0;
    n->negative = *p == '-';
    p += n->negative;
    for (stop = p; stop < end && (*stop | 32) != 'e'; stop++)
        if (*stop == '.') dot = stop;
    while (p < stop && (*p == '0' || *p == '.')) p++;
    if (p == stop) { /* zero, whatever its exponent */
        n->negative = 0;
        return;
    }
    if (stop < end) exponent = read_exponent(stop + 1, end);
    n->from = p;
    n->to = stop;
    while (n->to[-1] == '0' || n->to[-1] == '.') n->to--;
    n->digits = (uint32_t)(n->to - n->from) - (dot && dot > n->from && dot < n->to);
    if (!dot) dot = stop;
    n->point = exponent + (dot > p ? dot - p : dot - p + 1);
}

/* Reads a number of JSON. */
static __attribute__((noinline)) void number_read(number *n, const char *text, uint32_t len) {
    const char *p = text, *end = text + len;
    int negative = *p == '-';
    n->text = text;
    n->len = len;
    n->wide = 0;
    n->small = 1;
    n->v = 0;
    p += negative;
    if (end - p <= 18) {
        for (; p < end && (uint8_t)(*p - '0') <= 9; p++) n->v = n->v * 10 + (*p - '0');
        if (p == end) {
            if (negative) n->v = -n->v;
            return;
        }
    }
    n->small = 0;
    number_widen(n);
}

static int number_is_integer(const number *n) { return n->small || (int64_t)n->digits <= n->point || n->digits == 0; }

static int number_sign(const number *n) { return n->digits == 0 ? 0 : n->negative ? -1 : 1; }

/* Compares the digits of two widened numbers of the same sign and point. */
static int compare_digits(const number *a, const number *b) {
    const char *p = a->from, *q = b->from;
    for (;;) {
        if (p < a->to && *p == '.') p++;
        if (q < b->to && *q == '.') q++;
        if (p == a->to || q == b->to) return (p != a->to) - (q != b->to);
        if (*p != *q) return *p < *q ? -1 : 1;
        p++;
        q++;
    }
}

/* Below, at or above zero as a is less than, equal to or more than b. */
static __attribute__((noinline)) int number_compare(number *a, number *b) {
    int x, y;
    if (a->small && b->small) return a->v < b->v ? -1 : a->v > b->v;
    number_widen(a);
    number_widen(b);
    x = number_sign(a);
    y = number_sign(b);
    if (x != y) return x < y ? -1 : 1;
    if (x == 0) return 0;
    if (a->point != b->point) return (a->point < b->point) == (x > 0) ? -1 : 1;
    return x * compare_digits(a, b);
}

/* A hash that equal numbers share, however they are written. */
static uint32_t number_hash(number *n) {
    uint64_t h = hash_seed;
    number_widen(n);
    h = hash_mix(h, (uint64_t)n->point ^ (uint64_t)n->negative << 63);
    if (n->digits)
        for (const char *p = n->from; p < n->to; p++)
            if (*p != '.') h = hash_mix(h, (uint8_t)*p);
    return (uint32_t)(h ^ h >> 32);
}

/* A divisor: digits × 10^scale, where digits does not end in zero. */
typedef struct {
    int64_t digits, scale;
    int64_t whole; /* the divisor itself where it is a whole number of up to 18 digits; else 0 */
} divisor;

/* 0: it has more than 18 digits. The number is above zero. */
static int divisor_of(divisor *d, number *n) {
    number_widen(n);
    if (n->digits > 18) return 0;
    d->digits = 0;
    for (const char *p = n->from; p < n->to; p++)
        if (*p != '.') d->digits = d->digits * 10 + (*p - '0');
    d->scale = n->point - n->digits;
    d->whole = 0;
    if (d->scale >= 0 && n->point <= 18) {
        d->whole = d->digits;
        for (int64_t i = 0; i < d->scale; i++) d->whole *= 10;
    }
    return 1;
}

/* Whether n is a whole multiple. With n = m × 10^e and the divisor d × 10^s,
 * neither m nor d ending in zero, m × 10^(e-s) has to divide by d, and no
 * fraction may remain. Of 10^(e-s) no more than 60 zeros matter: d < 10^18 has
 * no more factors 2 or 5. */
static int number_divides(number *n, const divisor *d) {
    uint64_t rest = 0, by = (uint64_t)d->digits;
    int64_t zeros;
    if (n->small && d->whole) return n->v % d->whole == 0;
    number_widen(n);
    if (n->digits == 0) return 1;
    zeros = n->point - (int64_t)n->digits - d->scale;
    if (zeros < 0) return 0;
    if (by == 1) return 1;
    for (const char *p = n->from; p < n->to; p++)
        if (*p != '.') rest = (rest * 10 + (uint64_t)(*p - '0')) % by;
    for (int64_t i = 0; i < zeros && i < 60 && rest; i++) rest = rest * 10 % by;
    return rest == 0;
}

#endif

/* sluice_json.h: read a filter's configuration, a small JSON document, strictly.
 *
 *     sluice_json j = sluice_json_in(sluice_payload(e));
 *     char key[16];
 *     if (!sluice_json_enter(&j, '{')) return sluice_deny(e, SLUICE_INVALID, "not an object");
 *     while (sluice_json_key(&j, key, sizeof key)) {
 *         if (is(key, "max")) ok = sluice_json_int(&j, &max);
 *         else ...
 *     }
 *     if (!sluice_json_done(&j)) ...
 *
 * A reader walks forward once and allocates nothing. After a mistake every
 * function answers 0, so checking sluice_json_done at the end suffices where the
 * kind of mistake does not matter. It is meant for configurations, not for
 * message content. */
#ifndef SLUICE_JSON_H
#define SLUICE_JSON_H

#include "sluice.h"

typedef struct sluice_json {
    const char *at, *end;
    int fresh; /* just behind an opening bracket: no comma is due */
    int bad;   /* met something that it does not read */
} sluice_json;

static inline sluice_json sluice_json_in(sluice_string text) {
    sluice_json j = {text.ptr, text.ptr + text.len, 0, 0};
    return j;
}
static inline int sluice_json_fail_(sluice_json *j) {
    j->bad = 1;
    return 0;
}
/* The first byte of the next token; 0 at the end and after a mistake. */
SLUICE_RARE char sluice_json_peek(sluice_json *j) {
    if (j->bad) return 0;
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r')) j->at++;
    return j->at < j->end ? *j->at : 0;
}

/* Goes into an array ('[') or object ('{'). */
SLUICE_RARE int sluice_json_enter(sluice_json *j, char bracket) {
    if (sluice_json_peek(j) != bracket) return sluice_json_fail_(j);
    j->at++;
    j->fresh = 1;
    return 1;
}
/* Whether the array has another element, and goes to it; else goes out of the array. */
SLUICE_RARE int sluice_json_next_(sluice_json *j, char close) {
    char c = sluice_json_peek(j);
    int fresh = j->fresh;
    j->fresh = 0;
    if (c == close) {
        j->at++;
        return 0;
    }
    if (fresh) return c ? 1 : sluice_json_fail_(j);
    if (c != ',') return sluice_json_fail_(j);
    j->at++;
    c = sluice_json_peek(j);
    return c && c != close ? 1 : sluice_json_fail_(j);
}
static inline int sluice_json_next(sluice_json *j) { return sluice_json_next_(j, ']'); }

SLUICE_RARE int sluice_json_hex_(sluice_json *j, uint32_t *unit) {
    *unit = 0;
    for (int i = 0; i < 4; i++, j->at++) {
        char c = j->at < j->end ? *j->at : 0;
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit == 16) return sluice_json_fail_(j);
        *unit = *unit << 4 | digit;
    }
    return 1;
}
/* Reads the code point behind \u; a lone surrogate is a mistake. */
SLUICE_RARE int sluice_json_escape_(sluice_json *j, sluice_text *t) {
    uint32_t c, low;
    char utf8[4];
    if (!sluice_json_hex_(j, &c)) return 0;
    if (c >= 0xD800 && c < 0xE000) {
        if (c >= 0xDC00 || j->end - j->at < 6 || j->at[0] != '\\' || j->at[1] != 'u') return sluice_json_fail_(j);
        j->at += 2;
        if (!sluice_json_hex_(j, &low)) return 0;
        if (low < 0xDC00 || low >= 0xE000) return sluice_json_fail_(j);
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    }
    uint32_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (uint32_t i = n - 1; i > 0; i--, c >>= 6) utf8[i] = (char)(0x80 | (c & 0x3F));
    utf8[0] = (char)(n == 1 ? c : ((0xF00u >> n) & 0xFF) | c);
    sluice_text_add_n(t, utf8, n);
    return 1;
}
/* Reads a string, decoded, into storage of cap bytes with a NUL behind it. A
 * string that does not fit is a mistake. n, unless NULL, gets its length. */
SLUICE_RARE int sluice_json_string(sluice_json *j, char *storage, uint32_t cap, uint32_t *n) {
    sluice_text t = sluice_text_in(storage, cap - 1);
    storage[0] = 0;
    if (sluice_json_peek(j) != '"') return sluice_json_fail_(j);
    for (j->at++; j->at < j->end && *j->at != '"';) {
        uint32_t before = t.cap;
        char c = *j->at++;
        if ((unsigned char)c < 0x20) return sluice_json_fail_(j);
        if (c == '\\') {
            if (j->at == j->end) break;
            c = *j->at++;
            if (c == 'u') {
                if (!sluice_json_escape_(j, &t)) return 0;
                if (t.cap != before) return sluice_json_fail_(j);
                continue;
            }
            c = c == 'b' ? '\b' : c == 'f' ? '\f' : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t'
                : c == '"' || c == '\\' || c == '/' ? c : 0;
            if (c == 0) return sluice_json_fail_(j);
        }
        if (t.len == t.cap) return sluice_json_fail_(j);
        t.ptr[t.len++] = c;
    }
    storage[t.len] = 0;
    if (j->at == j->end) return sluice_json_fail_(j);
    j->at++;
    if (n) *n = t.len;
    return 1;
}
/* Whether the object has another member, and reads its key, decoded, and its
 * colon; else goes out of the object. n gets the key's length. */
SLUICE_RARE int sluice_json_key_n(sluice_json *j, char *storage, uint32_t cap, uint32_t *n) {
    if (!sluice_json_next_(j, '}') || !sluice_json_string(j, storage, cap, n)) return 0;
    if (sluice_json_peek(j) != ':') return sluice_json_fail_(j);
    j->at++;
    return 1;
}
/* The same where the storage's NUL shall tell the length: a key that has a NUL
 * within, by an escape, is a mistake, as it would pass for a shorter one. */
SLUICE_RARE int sluice_json_key(sluice_json *j, char *storage, uint32_t cap) {
    uint32_t n;
    if (!sluice_json_key_n(j, storage, cap, &n)) return 0;
    return sluice_length(storage) == n ? 1 : sluice_json_fail_(j);
}
/* Reads a whole number without fraction and exponent, of up to 15 digits. */
SLUICE_RARE int sluice_json_int(sluice_json *j, int64_t *v) {
    int negative = sluice_json_peek(j) == '-', digits = 0;
    if (j->bad) return 0;
    j->at += negative;
    for (*v = 0; j->at < j->end && *j->at >= '0' && *j->at <= '9'; j->at++, digits++) {
        if (digits == 15 || (digits > 0 && *v == 0)) return sluice_json_fail_(j);
        *v = *v * 10 + (*j->at - '0');
    }
    if (negative) *v = -*v;
    if (digits == 0 || (j->at < j->end && (*j->at == '.' || *j->at == 'e' || *j->at == 'E'))) return sluice_json_fail_(j);
    return 1;
}
/* Whether the document was read without a mistake up to its end. */
static inline int sluice_json_done(sluice_json *j) { return sluice_json_peek(j) == 0 && !j->bad && j->at == j->end; }

#endif /* SLUICE_JSON_H */

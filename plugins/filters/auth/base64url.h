/* base64url.h: base64url as RFC 7515 wants it, and nothing else. */
#ifndef AUTH_BASE64URL_H
#define AUTH_BASE64URL_H

#include "sluice.h"

static int32_t base64url_digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* Decodes text into storage of cap bytes. Padding, white space, other alphabets
 * and set bits behind the last byte are mistakes: each run of bytes has one
 * text, so that no two tokens mean the same. */
static int base64url_decode(sluice_string text, char *storage, uint32_t cap, sluice_string *out) {
    static int8_t digits[256];
    uint32_t n = 0, rest = text.len % 4, size = text.len / 4 * 3 + (rest ? rest - 1 : 0);
    const unsigned char *p = (const unsigned char *)text.ptr, *end = p + text.len;
    if (digits[0] == 0)
        for (int c = 0; c < 256; c++) digits[c] = (int8_t)base64url_digit((char)c);
    if (rest == 1 || size > cap) return 0;
    for (; end - p >= 4; p += 4, n += 3) {
        int32_t a = digits[p[0]], b = digits[p[1]], c = digits[p[2]], d = digits[p[3]];
        if ((a | b | c | d) < 0) return 0;
        uint32_t bits = (uint32_t)(a << 18 | b << 12 | c << 6 | d);
        storage[n] = (char)(bits >> 16);
        storage[n + 1] = (char)(bits >> 8);
        storage[n + 2] = (char)bits;
    }
    if (rest) {
        int32_t a = digits[p[0]], b = digits[p[1]], c = rest == 3 ? digits[p[2]] : 0;
        if ((a | b | c) < 0) return 0;
        uint32_t bits = (uint32_t)(a << 18 | b << 12 | c << 6);
        if (bits & (rest == 2 ? 0xFFFFu : 0xFFu)) return 0;
        storage[n++] = (char)(bits >> 16);
        if (rest == 3) storage[n++] = (char)(bits >> 8);
    }
    out->ptr = storage;
    out->len = n;
    return 1;
}

#endif

/* strict.h: reads a JSON object so strictly that no two readers can understand
 * it differently: RFC 8259 to the letter, UTF-8, whole surrogate pairs, no name
 * twice in any object, however it is escaped. */
#ifndef AUTH_STRICT_H
#define AUTH_STRICT_H

#include "sluice.h"

enum {
    STRICT_DEPTH = 32,    /* arrays and objects within each other */
    STRICT_MEMBERS = 512, /* of all objects that are open at one time */
    STRICT_TEXT = 16384   /* bytes */
};

typedef enum { KIND_NONE, KIND_NULL, KIND_FALSE, KIND_TRUE, KIND_NUMBER, KIND_STRING, KIND_ARRAY, KIND_OBJECT } kind;

typedef struct {
    sluice_string name; /* decoded */
    sluice_string raw;  /* the value as it is written */
    kind kind;
    uint32_t hash;
} member;

/* An object that was read: members[0 .. count). One is read at a time. */
typedef struct {
    const char *at, *end;
    uint32_t depth, count, most; /* most members */
    uint32_t names_used;
    member members[STRICT_MEMBERS];
    char names[STRICT_TEXT]; /* decoded names that have escapes */
} strict;

static char strict_peek(strict *s) {
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r')) s->at++;
    return s->at < s->end ? *s->at : 0;
}

/* How many bytes the UTF-8 character at p has; 0 if it is none. */
static uint32_t utf8_size(const char *p, const char *end) {
    const unsigned char *u = (const unsigned char *)p;
    uint32_t c = u[0], n = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
    if (n == 0 || (uint32_t)(end - p) < n) return 0;
    for (uint32_t i = 1; i < n; i++)
        if ((u[i] & 0xC0) != 0x80) return 0;
    if ((c == 0xE0 && u[1] < 0xA0) || (c == 0xED && u[1] >= 0xA0) || (c == 0xF0 && u[1] < 0x90) || (c == 0xF4 && u[1] >= 0x90)) return 0;
    return n;
}

static int32_t strict_hex(strict *s) {
    int32_t unit = 0;
    if (s->end - s->at < 4) return -1;
    for (int i = 0; i < 4; i++) {
        char c = *s->at++;
        int32_t digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0) return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

/* Reads what stands behind a backslash into utf8; its length, or 0. */
static uint32_t strict_escape(strict *s, char *utf8) {
    if (s->at == s->end) return 0;
    char e = *s->at++;
    if (e != 'u') {
        utf8[0] = e == 'b' ? '\b' : e == 'f' ? '\f' : e == 'n' ? '\n' : e == 'r' ? '\r' : e == 't' ? '\t' : e == '"' || e == '\\' || e == '/' ? e : 0;
        return utf8[0] != 0;
    }
    int32_t unit = strict_hex(s);
    if (unit < 0 || (unit >= 0xDC00 && unit < 0xE000)) return 0;
    uint32_t c = (uint32_t)unit;
    if (c >= 0xD800 && c < 0xDC00) {
        if (s->end - s->at < 6 || s->at[0] != '\\' || s->at[1] != 'u') return 0;
        s->at += 2;
        unit = strict_hex(s);
        if (unit < 0xDC00 || unit >= 0xE000) return 0;
        c = 0x10000 + ((c - 0xD800) << 10) + ((uint32_t)unit - 0xDC00);
    }
    uint32_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (uint32_t i = n - 1; i > 0; i--, c >>= 6) utf8[i] = (char)(0x80 | (c & 0x3F));
    utf8[0] = (char)(n == 1 ? c : ((0xF00u >> n) & 0xFF) | c);
    return n;
}

/* Reads a string. name, unless NULL, gets it decoded. */
static int strict_string(strict *s, sluice_string *name) {
    if (strict_peek(s) != '"') return 0;
    const char *begin = ++s->at;
    char *decoded = s->names + s->names_used;
    uint32_t n = 0;
    int escaped = 0;
    for (;;) {
        if (s->at == s->end) return 0;
        unsigned char c = (unsigned char)*s->at;
        if (c == '"') break;
        if (c < 0x20) return 0;
        char utf8[4];
        const char *piece = s->at;
        uint32_t size;
        if (c == '\\') {
            if (name && !escaped) /* from here on the decoded text is kept */
                for (const char *p = begin; p < s->at; p++) decoded[n++] = *p;
            escaped = 1;
            s->at++;
            size = strict_escape(s, utf8);
            piece = utf8;
        } else {
            size = utf8_size(s->at, s->end);
            s->at += size;
        }
        if (size == 0) return 0;
        if (name && escaped)
            for (uint32_t i = 0; i < size; i++) decoded[n++] = piece[i];
    }
    if (name) {
        name->ptr = escaped ? decoded : begin;
        name->len = escaped ? n : (uint32_t)(s->at - begin);
        s->names_used += n;
    }
    s->at++;
    return 1;
}

static int strict_digits(strict *s) {
    const char *begin = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9') s->at++;
    return s->at > begin;
}

static int strict_number(strict *s) {
    if (*s->at == '-') s->at++;
    if (s->at < s->end && *s->at == '0') s->at++;
    else if (!strict_digits(s)) return 0;
    if (s->at < s->end && *s->at == '.') {
        s->at++;
        if (!strict_digits(s)) return 0;
    }
    if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
        s->at++;
        if (s->at < s->end && (*s->at == '+' || *s->at == '-')) s->at++;
        return strict_digits(s);
    }
    return 1;
}

static int strict_word(strict *s, const char *word) {
    for (; *word; word++, s->at++)
        if (s->at == s->end || *s->at != *word) return 0;
    return 1;
}

static int strict_value(strict *s, sluice_string *raw, kind *k);

static int strict_array(strict *s) {
    s->at++;
    if (strict_peek(s) == ']') {
        s->at++;
        return 1;
    }
    for (;;) {
        sluice_string raw;
        kind k;
        if (!strict_value(s, &raw, &k)) return 0;
        char c = strict_peek(s);
        s->at++;
        if (c == ']') return 1;
        if (c != ',') return 0;
    }
}

static int same_text(sluice_string a, sluice_string b) {
    if (a.len != b.len) return 0;
    for (uint32_t i = 0; i < a.len; i++)
        if (a.ptr[i] != b.ptr[i]) return 0;
    return 1;
}

/* Reads a name and its colon; it must not be that of members[first .. count). */
static int strict_name(strict *s, uint32_t first) {
    if (s->count == s->most) return 0;
    member *m = &s->members[s->count];
    if (!strict_string(s, &m->name)) return 0;
    m->hash = 2166136261u;
    for (uint32_t i = 0; i < m->name.len; i++) m->hash = (m->hash ^ (unsigned char)m->name.ptr[i]) * 16777619u;
    for (uint32_t i = first; i < s->count; i++)
        if (s->members[i].hash == m->hash && same_text(s->members[i].name, m->name)) return 0;
    s->count++;
    if (strict_peek(s) != ':') return 0;
    s->at++;
    return 1;
}

/* Reads an object. Its members stand behind those of the objects around it. */
static int strict_object(strict *s) {
    uint32_t first = s->count;
    s->at++;
    if (strict_peek(s) == '}') {
        s->at++;
        return 1;
    }
    for (;;) {
        if (!strict_name(s, first)) return 0;
        member *m = &s->members[s->count - 1];
        if (!strict_value(s, &m->raw, &m->kind)) return 0;
        char c = strict_peek(s);
        s->at++;
        if (c == '}') return 1;
        if (c != ',') return 0;
    }
}

static int strict_value(strict *s, sluice_string *raw, kind *k) {
    char c = strict_peek(s);
    int ok = 0;
    uint32_t count = s->count;
    raw->ptr = s->at;
    if (c == '{' || c == '[') {
        *k = c == '{' ? KIND_OBJECT : KIND_ARRAY;
        if (s->depth == STRICT_DEPTH) return 0;
        s->depth++;
        ok = c == '{' ? strict_object(s) : strict_array(s);
        s->depth--;
        s->count = count; /* the members of what lies within are not needed any more */
    } else if (c == '"') {
        *k = KIND_STRING;
        ok = strict_string(s, NULL);
    } else if (c == 't') {
        *k = KIND_TRUE;
        ok = strict_word(s, "true");
    } else if (c == 'f') {
        *k = KIND_FALSE;
        ok = strict_word(s, "false");
    } else if (c == 'n') {
        *k = KIND_NULL;
        ok = strict_word(s, "null");
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        *k = KIND_NUMBER;
        ok = strict_number(s);
    }
    raw->len = (uint32_t)(s->at - raw->ptr);
    return ok;
}

/* Reads a text that is one object, with at most so many members open at one time. */
static int strict_read(strict *s, sluice_string text, uint32_t most) {
    s->most = most < STRICT_MEMBERS ? most : STRICT_MEMBERS;
    if (text.len > STRICT_TEXT) return 0;
    s->at = text.ptr;
    s->end = text.ptr + text.len;
    s->depth = s->count = s->names_used = 0;
    if (strict_peek(s) != '{' || !strict_object(s)) return 0;
    strict_peek(s);
    return s->at == s->end;
}

/* The member of that name, or NULL. */
static const member *strict_find(const strict *s, sluice_string name) {
    for (uint32_t i = 0; i < s->count; i++)
        if (same_text(s->members[i].name, name)) return &s->members[i];
    return NULL;
}

#endif

/* uri.h: resolves URI references (RFC 3986, section 5.2), for $id and $ref. */
#ifndef VALIDATE_URI_H
#define VALIDATE_URI_H

enum { MAX_URI = 2048 };

typedef struct {
    const char *at;
    uint32_t len;
} part;

typedef struct {
    part scheme, authority, path, query, fragment; /* at NULL: there is none */
} uri;

static part part_of(const char *from, const char *to) {
    part p;
    p.at = from;
    p.len = (uint32_t)(to - from);
    return p;
}

static const char *find_any(const char *p, const char *end, const char *stops) {
    for (; p < end; p++)
        for (const char *s = stops; *s; s++)
            if (*p == *s) return p;
    return end;
}

static uri uri_parse(const char *p, uint32_t len) {
    uri u = {{NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}};
    const char *end = p + len, *stop = find_any(p, end, ":/?#");
    if (stop < end && *stop == ':' && stop > p) {
        u.scheme = part_of(p, stop);
        p = stop + 1;
    }
    if (end - p >= 2 && p[0] == '/' && p[1] == '/') {
        stop = find_any(p + 2, end, "/?#");
        u.authority = part_of(p + 2, stop);
        p = stop;
    }
    stop = find_any(p, end, "?#");
    u.path = part_of(p, stop);
    p = stop;
    if (p < end && *p == '?') {
        stop = find_any(p, end, "#");
        u.query = part_of(p + 1, stop);
        p = stop;
    }
    if (p < end) u.fragment = part_of(p + 1, end);
    return u;
}

/* Removes the segments . and .. of the path in t from its byte first on. */
static void remove_dots(sluice_text *t, uint32_t first) {
    char *base = t->ptr + first;
    uint32_t n = t->len - first, in = 0, out = 0;
    while (in < n) {
        uint32_t stop = in + 1;
        while (stop < n && base[stop] != '/') stop++;
        uint32_t from = base[in] == '/' ? in + 1 : in, dots = stop - from;
        int last = stop == n;
        if (dots == 1 && base[from] == '.') {
            if (last) base[out++] = '/';
        } else if (dots == 2 && base[from] == '.' && base[from + 1] == '.') {
            while (out > 0 && base[--out] != '/') {}
            if (last) base[out++] = '/';
        } else {
            while (in < stop) base[out++] = base[in++];
        }
        in = stop;
    }
    t->len = first + out;
}

static void add_part(sluice_text *t, const char *before, part p) {
    if (!p.at) return;
    sluice_text_add(t, before);
    sluice_text_add_n(t, p.at, p.len);
}

/* Appends the reference, without its fragment, as it reads from base. */
static void uri_resolve(sluice_text *t, part base, part reference) {
    uri r = uri_parse(reference.at, reference.len), b = uri_parse(base.at, base.len);
    int own = r.scheme.at != NULL || r.authority.at != NULL, kept;
    part scheme = r.scheme.at ? r.scheme : b.scheme;
    uint32_t first;
    kept = !own && r.path.len == 0;
    if (scheme.at) {
        sluice_text_add_n(t, scheme.at, scheme.len);
        sluice_text_add(t, ":");
    }
    add_part(t, "//", own ? r.authority : b.authority);
    first = t->len;
    if (kept) {
        sluice_text_add_n(t, b.path.at, b.path.len);
    } else {
        if (!own && r.path.at[0] != '/') { /* merged with the base's folder */
            const char *slash = b.path.at + b.path.len;
            while (slash > b.path.at && slash[-1] != '/') slash--;
            if (b.authority.at && b.path.len == 0) sluice_text_add(t, "/");
            sluice_text_add_n(t, b.path.at, (uint32_t)(slash - b.path.at));
        }
        sluice_text_add_n(t, r.path.at, r.path.len);
        if (t->len > first && t->ptr[first] == '/') remove_dots(t, first);
    }
    add_part(t, "?", kept && !r.query.at ? b.query : r.query);
}

/* Decodes %XX. Returns the new length. */
static uint32_t percent_decode(char *to, const char *p, uint32_t n) {
    uint32_t out = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t v = 0, k = 1;
        for (; p[i] == '%' && k <= 2 && i + k < n; k++) {
            uint32_t c = (uint8_t)p[i + k], d = c - '0' < 10 ? c - '0' : (c | 32) - 'a' < 6 ? (c | 32) - 'a' + 10 : 16;
            if (d == 16) break;
            v = v << 4 | d;
        }
        if (k == 3) i += 2;
        to[out++] = k == 3 ? (char)v : p[i];
    }
    return out;
}

#endif

/* claims.h: what a verified token says, held against the configuration
 * (RFC 7519). */
#ifndef AUTH_CLAIMS_H
#define AUTH_CLAIMS_H

#include "config.h"
#include "grants.h"
#include "jws.h"
#include "outcome.h"
#include "sluice.h"
#include "strict.h"

enum { MAX_INFO = 4096, MAX_STRING = 1024 /* bytes of an issuer or an audience */ };

#define LAST_SECOND 253402300799 /* of the year 9999; beyond are milliseconds taken for seconds */

typedef struct {
    sluice_string user, info, grants;
    int64_t expires_ms; /* 0: never */
} identity;

static char user_storage[SLUICE_MAX_NAME + 1];
static char info_storage[MAX_INFO];
static char text_storage[MAX_STRING + 1];

/* A NumericDate in milliseconds: digits, and perhaps a fraction. */
static int read_time(const member *m, int64_t *ms) {
    const char *p = m->raw.ptr, *end = p + m->raw.len;
    int64_t seconds = 0, fraction = 0, unit = 100;
    if (m->kind != KIND_NUMBER) return 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        seconds = seconds * 10 + (*p - '0');
        if (seconds > LAST_SECOND) return 0;
    }
    if (p < end && *p == '.')
        for (p++; p < end && *p >= '0' && *p <= '9'; p++, unit /= 10) fraction += (*p - '0') * unit;
    *ms = seconds * 1000 + fraction;
    return p == end; /* no sign, no exponent */
}

static outcome check_times(int64_t now_ms, identity *id) {
    int64_t leeway = config.leeway * 1000, t;
    const member *ends[2] = {strict_find(&object, config.expires), find("exp")}, *m;
    if (!ends[0] && config.require_expiry) return LACKS_CLAIM;
    id->expires_ms = 0;
    for (int i = 0; i < 2; i++) { /* exp counts even where another claim is the expiry */
        if (!ends[i]) continue;
        if (!read_time(ends[i], &t)) return MALFORMED;
        t += leeway;
        if (now_ms >= t) return EXPIRED;
        if (id->expires_ms == 0 || t < id->expires_ms) id->expires_ms = t;
    }
    m = find("nbf");
    if (m && !read_time(m, &t)) return MALFORMED;
    if (m && now_ms + leeway < t) return TOO_EARLY;
    m = find("iat");
    if (m && !read_time(m, &t)) return MALFORMED;
    if (m && now_ms + leeway < t) return TOO_EARLY;
    return ADMITTED;
}

static int among(const names *list, sluice_string s) {
    for (uint32_t i = 0; i < list->count; i++)
        if (same_text(list->of[i], s)) return 1;
    return 0;
}

static outcome check_issuer(void) {
    const member *m = find("iss");
    sluice_string s;
    if (m && m->kind != KIND_STRING) return MALFORMED;
    if (config.issuer.count == 0) return ADMITTED;
    return m && read_text(m, text_storage, sizeof text_storage, &s) && among(&config.issuer, s) ? ADMITTED : BAD_ISSUER;
}

/* A token for others is refused also where no audience is configured: it was
 * not made for this node. */
static outcome check_audience(void) {
    const member *m = find("aud");
    sluice_string s;
    int found = 0;
    if (!m) return config.audience.count ? BAD_AUDIENCE : ADMITTED;
    if (m->kind == KIND_STRING)
        return read_text(m, text_storage, sizeof text_storage, &s) && among(&config.audience, s) ? ADMITTED : BAD_AUDIENCE;
    sluice_json j = sluice_json_in(m->raw);
    if (!sluice_json_enter(&j, '[')) return MALFORMED;
    while (sluice_json_next(&j)) {
        if (sluice_json_peek(&j) != '"') return MALFORMED;
        s.ptr = text_storage;
        if (!sluice_json_string(&j, text_storage, sizeof text_storage, &s.len)) return BAD_AUDIENCE;
        found |= among(&config.audience, s);
    }
    return found ? ADMITTED : BAD_AUDIENCE;
}

/* Whether one value, as it is written, is the required one. */
static int value_is(const requirement *r, kind k, sluice_string raw) {
    sluice_string s = {text_storage, 0};
    sluice_json j = sluice_json_in(raw);
    if (r->how == REQUIRE_WORD) return k != KIND_STRING && same_text(raw, r->value);
    return k == KIND_STRING && sluice_json_string(&j, text_storage, sizeof text_storage, &s.len) && same_text(s, r->value);
}

/* Where the value at p ends, in a text that strict_read has accepted. */
static const char *behind_value(const char *p) {
    uint32_t depth = 0;
    do {
        char c = *p++;
        if (c == '"') {
            for (; *p != '"'; p++) p += *p == '\\';
            p++;
        } else if (c == '[' || c == '{') {
            depth++;
        } else if (c == ']' || c == '}') {
            depth--;
        } else {
            while (*p != ',' && *p != ']' && *p != '}' && *p != '"' && *p != '[' && *p != '{' && (unsigned char)*p > ' ') p++;
        }
    } while (depth > 0);
    return p;
}

/* Whether a claim is there, and is the required value or a list that has it. */
static int meets(const requirement *r) {
    const member *m = strict_find(&object, r->claim);
    if (!m) return 0;
    if (r->how == REQUIRE_PRESENT) return m->kind != KIND_NULL;
    if (m->kind != KIND_ARRAY) return value_is(r, m->kind, m->raw);
    for (const char *p = m->raw.ptr + 1;;) {
        while (*p == ',' || *p == ' ' || *p == '\t' || *p == '\n' || *p == '\r') p++;
        if (*p == ']') return 0;
        sluice_string raw = {p, 0};
        p = behind_value(p);
        raw.len = (uint32_t)(p - raw.ptr);
        if (value_is(r, *raw.ptr == '"' ? KIND_STRING : KIND_NONE, raw)) return 1;
    }
}

/* The rules of a name: UTF-8, not empty, no control characters. */
static outcome read_user(identity *id) {
    const member *m = strict_find(&object, config.user);
    if (!m || !read_text(m, user_storage, sizeof user_storage, &id->user) || id->user.len == 0) return BAD_USER;
    for (uint32_t i = 0; i < id->user.len; i++) {
        unsigned char c = (unsigned char)user_storage[i], next = (unsigned char)user_storage[i + 1];
        if (c < 0x20 || c == 0x7F || (c == 0xC2 && next < 0xA0)) return BAD_USER;
    }
    return ADMITTED;
}

/* Info is an object of the configured claims that the token has. */
static outcome read_info(identity *id) {
    sluice_text t = sluice_text_in(info_storage, sizeof info_storage);
    for (uint32_t i = 0; i < config.info.count; i++) {
        const member *m = strict_find(&object, config.info.of[i]);
        if (!m) continue;
        if (t.len + m->name.len + m->raw.len + 5 > MAX_INFO) return TOO_LARGE; /* {"":} */
        sluice_text_add(&t, t.len ? ",\"" : "{\"");
        sluice_text_add_n(&t, config.info.of[i].ptr, config.info.of[i].len);
        sluice_text_add(&t, "\":");
        sluice_text_add_n(&t, m->raw.ptr, m->raw.len);
    }
    if (t.len) sluice_text_add(&t, "}");
    id->info.ptr = info_storage;
    id->info.len = t.len;
    return ADMITTED;
}

static outcome read_grants(identity *id) {
    const member *m = strict_find(&object, config.grants);
    id->grants.ptr = NULL;
    id->grants.len = 0;
    if (!m) return ADMITTED;
    if (!grants_ok(m->raw, config.deep_grants)) return BAD_GRANTS;
    id->grants = m->raw;
    return ADMITTED;
}

static outcome read_claims_of(sluice_string payload, int64_t now_ms, identity *id) {
    const member *m;
    outcome o;
    if (!strict_read(&object, payload, STRICT_MEMBERS)) return MALFORMED;
    m = find("jti"); /* what revocation goes by */
    if (m && m->kind != KIND_STRING && m->kind != KIND_NUMBER) return MALFORMED;
    if ((o = check_times(now_ms, id)) != ADMITTED) return o;
    if ((o = check_issuer()) != ADMITTED) return o;
    if ((o = check_audience()) != ADMITTED) return o;
    for (uint32_t i = 0; i < config.required_count; i++)
        if (!meets(&config.required[i])) return LACKS_CLAIM;
    if ((o = read_user(id)) != ADMITTED) return o;
    if ((o = read_info(id)) != ADMITTED) return o;
    return read_grants(id);
}

#endif

/* jws.h: a compact JWS (RFC 7515), from its text to its verified payload. */
#ifndef AUTH_JWS_H
#define AUTH_JWS_H

#include "base64url.h"
#include "config.h"
#include "outcome.h"
#include "sluice.h"
#include "sluice_json.h"
#include "strict.h"

enum {
    MAX_KID = 255,        /* bytes */
    MAX_SIGNATURE = 1024, /* bytes; RSA with 4096 bits has 512 */
    HEADER_MEMBERS = 64
};

typedef struct {
    sluice_string header, payload, signature; /* in base64url */
    sluice_string signed_part;                /* header "." payload */
} jws;

/* One object is read at a time: first the header, then the claims. */
static strict object;
static char decoded[STRICT_TEXT];
static char signature[MAX_SIGNATURE];
static char kid[MAX_KID + 1];

/* Exactly three parts, none of them empty. */
static int jws_split(sluice_string token, jws *t) {
    uint32_t dots = 0, at[2] = {0, 0};
    for (uint32_t i = 0; i < token.len; i++) {
        if (token.ptr[i] != '.') continue;
        if (dots == 2) return 0;
        at[dots++] = i;
    }
    if (dots != 2) return 0;
    t->header.ptr = token.ptr;
    t->header.len = at[0];
    t->payload.ptr = token.ptr + at[0] + 1;
    t->payload.len = at[1] - at[0] - 1;
    t->signature.ptr = token.ptr + at[1] + 1;
    t->signature.len = token.len - at[1] - 1;
    t->signed_part.ptr = token.ptr;
    t->signed_part.len = at[1];
    return t->header.len && t->payload.len && t->signature.len;
}

/* Reads a member that is a string into storage of cap bytes, one for a NUL. */
static int read_text(const member *m, char *storage, uint32_t cap, sluice_string *out) {
    sluice_json j = sluice_json_in(m->raw);
    out->ptr = storage;
    return m->kind == KIND_STRING && sluice_json_string(&j, storage, cap, &out->len);
}

static const member *find(const char *name) { return strict_find(&object, sluice_string_of(name)); }

static int same_in_any_case(sluice_string s, const char *text) {
    uint32_t n = sluice_length(text);
    if (s.len != n) return 0;
    for (uint32_t i = 0; i < n; i++) {
        char c = s.ptr[i];
        if ((c >= 'A' && c <= 'Z' ? (char)(c + 32) : c) != text[i]) return 0;
    }
    return 1;
}

static int is_jwt_type(sluice_string type) {
    static const char *const types[] = {"jwt", "at+jwt", "application/jwt", "application/at+jwt"};
    for (int i = 0; i < 4; i++)
        if (same_in_any_case(type, types[i])) return 1;
    return 0;
}

/* Reads alg, kid and what else has a say. Keys and certificates that a token
 * brings along (jwk, jku, x5u, x5c) have none: they are never looked at. */
static outcome jws_header(sluice_string text, const char **alg, sluice_string *id) {
    char storage[32];
    sluice_string s;
    const member *m;
    if (!strict_read(&object, text, HEADER_MEMBERS)) return MALFORMED;
    if (find("crit") || find("b64") || find("cty")) return BAD_HEADER;
    m = find("typ");
    if (m && m->kind != KIND_STRING) return MALFORMED;
    if (m && (!read_text(m, storage, sizeof storage, &s) || !is_jwt_type(s))) return BAD_HEADER;
    id->ptr = kid;
    id->len = 0;
    m = find("kid");
    if (m && m->kind != KIND_STRING) return MALFORMED;
    if (m && !read_text(m, kid, sizeof kid, id)) return BAD_HEADER;
    m = find("alg");
    if (!m || m->kind != KIND_STRING) return MALFORMED;
    if (!read_text(m, storage, sizeof storage, &s)) return BAD_ALGORITHM;
    for (int a = 0; a < ALGORITHMS; a++)
        if (config.algorithms >> a & 1 && sluice_is(s, algorithm_names[a])) {
            *alg = algorithm_names[a];
            return ADMITTED;
        }
    return BAD_ALGORITHM;
}

/* Verifies a token. Its payload is not even decoded before that is done. */
static outcome jws_open(sluice_string token, sluice_string *payload) {
    jws t;
    sluice_string header, sig, id;
    const char *alg = "";
    if (token.len > config.max_bytes) return TOO_LARGE;
    if (!jws_split(token, &t)) return MALFORMED;
    if (!base64url_decode(t.header, decoded, sizeof decoded, &header)) return MALFORMED;
    if (!base64url_decode(t.signature, signature, sizeof signature, &sig)) return MALFORMED;
    outcome o = jws_header(header, &alg, &id);
    if (o != ADMITTED) return o;
    int32_t verified = sluice_verify(sluice_string_of(alg), id, t.signed_part, sig);
    if (verified < 0) return NO_KEYS;
    if (verified != SLUICE_VERIFIED) return BAD_SIGNATURE;
    if (t.payload.len > (STRICT_TEXT * 4 + 2) / 3) return TOO_LARGE;
    return base64url_decode(t.payload, decoded, sizeof decoded, payload) ? ADMITTED : MALFORMED;
}

#endif

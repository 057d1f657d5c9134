/* config.h: the configuration of auth, read strictly. */
#ifndef AUTH_CONFIG_H
#define AUTH_CONFIG_H

#include "sluice.h"
#include "sluice_json.h"
#include "strict.h"

enum {
    MAX_NAMES = 16,   /* of a list in the configuration */
    MAX_NAME = 255,   /* bytes of a claim's name, an issuer, an audience, a required value */
    WORDS = 32768,    /* bytes of all of them */
    MAX_TOKEN = 24576 /* the largest max_bytes */
};

typedef struct {
    sluice_string of[MAX_NAMES];
    uint32_t count;
} names;

enum { REQUIRE_PRESENT, REQUIRE_TEXT, REQUIRE_WORD };

typedef struct {
    sluice_string claim;
    int how;
    sluice_string value; /* text: decoded; word: a number, true, false or null as it is written */
} requirement;

typedef struct {
    names issuer, audience, info;
    sluice_string user, grants, expires; /* names of claims */
    requirement required[MAX_NAMES];
    uint32_t required_count;
    uint32_t algorithms; /* bits */
    int64_t leeway;      /* seconds */
    int64_t max_bytes;
    int optional, require_expiry, deep_grants;
} configuration;

static const char *const algorithm_names[] = {
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
};
enum { ALGORITHMS = 13 };

static configuration config;
static char words[WORDS];
static uint32_t words_used;

static char reason_storage[SLUICE_MAX_REASON];
static sluice_text reason;

static int complain(const char *key, const char *about) {
    sluice_text_add(&reason, key);
    sluice_text_add(&reason, about);
    return 0;
}


/* Keeps a string of 1 to MAX_NAME bytes. */
static int read_word(sluice_json *j, const char *key, sluice_string *out) {
    static char text[MAX_NAME + 1];
    uint32_t n;
    if (!sluice_json_string(j, text, sizeof text, &n) || n == 0) return complain(key, " has to be a string of 1 to 255 bytes");
    if (n > WORDS - words_used) return complain(key, ": the strings of the configuration take more than 32768 bytes together");
    out->ptr = words + words_used;
    out->len = n;
    for (uint32_t i = 0; i < n; i++) words[words_used++] = text[i];
    return 1;
}

/* A claim's name goes into JSON as it stands, so it has nothing to escape. */
static int check_claim(const char *key, sluice_string name) {
    for (uint32_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] < 0x20 || name.ptr[i] == '"' || name.ptr[i] == '\\')
            return complain(key, ": a claim's name must not have quotes, backslashes or control characters");
    return 1;
}

static int read_claim(sluice_json *j, const char *key, sluice_string *out) { return read_word(j, key, out) && check_claim(key, *out); }

/* Reads a list of strings, or one string. */
static int read_names(sluice_json *j, const char *key, int only_list, names *out) {
    out->count = 0;
    if (!only_list && sluice_json_peek(j) == '"') return read_word(j, key, &out->of[out->count++]);
    if (!sluice_json_enter(j, '[')) return complain(key, only_list ? " has to be a list of strings" : " has to be a string or a list of strings");
    while (sluice_json_next(j)) {
        if (out->count == MAX_NAMES) return complain(key, " has more than 16 entries");
        if (!read_word(j, key, &out->of[out->count])) return 0;
        for (uint32_t i = 0; i < out->count; i++)
            if (same_text(out->of[i], out->of[out->count])) return complain(key, " has an entry twice");
        out->count++;
    }
    if (j->bad) return 0;
    return out->count > 0 || only_list ? 1 : complain(key, " is an empty list: leave it out, or name one");
}

/* Reads true, false or null as it is written. */
static int read_literal(sluice_json *j, sluice_string *out) {
    static const char *const literals[] = {"true", "false", "null"};
    sluice_json_peek(j);
    for (int i = 0; i < 3; i++) {
        uint32_t n = sluice_length(literals[i]), k = 0;
        while (k < n && j->at + k < j->end && j->at[k] == literals[i][k]) k++;
        if (k < n) continue;
        *out = sluice_string_of(literals[i]);
        j->at += n;
        return 1;
    }
    return 0;
}

static int read_flag(sluice_json *j, const char *key, int *out) {
    sluice_string literal;
    if (!read_literal(j, &literal) || sluice_is(literal, "null")) return complain(key, " has to be true or false");
    *out = sluice_is(literal, "true");
    return 1;
}

static int read_whole(sluice_json *j, const char *key, int64_t least, int64_t most, int64_t *out) {
    if (sluice_json_int(j, out) && *out >= least && *out <= most) return 1;
    complain(key, " has to be a whole number from ");
    sluice_text_add_int(&reason, least);
    sluice_text_add(&reason, " to ");
    sluice_text_add_int(&reason, most);
    return 0;
}

static int read_algorithms(sluice_json *j) {
    names list;
    if (!read_names(j, "algorithms", 0, &list)) return 0;
    config.algorithms = 0;
    for (uint32_t i = 0; i < list.count; i++) {
        int a = 0;
        while (a < ALGORITHMS && !sluice_is(list.of[i], algorithm_names[a])) a++;
        if (a == ALGORITHMS) {
            sluice_text_add(&reason, "algorithms: ");
            sluice_text_add_n(&reason, list.of[i].ptr, list.of[i].len < 20 ? list.of[i].len : 20);
            sluice_text_add(&reason, " is unknown; there are HS256, HS384, HS512, the same of RS, PS and ES, and EdDSA (case matters)");
            return 0;
        }
        config.algorithms |= 1u << a;
    }
    return 1;
}

static int unknown_key(const char *where, const char *key, const char *known) {
    sluice_text_add(&reason, "unknown key ");
    sluice_text_add(&reason, where);
    sluice_text_add(&reason, key);
    sluice_text_add(&reason, ": known are ");
    sluice_text_add(&reason, known);
    return 0;
}

/* Which of the keys, separated by blanks, a key is; -1 if none. */
static int key_index(const char *keys, const char *key) {
    uint32_t n = sluice_length(key);
    for (int index = 0; *keys; index++) {
        uint32_t length = 0, same = 0;
        while (keys[length] && keys[length] != ' ') length++;
        while (same < length && same < n && keys[same] == key[same]) same++;
        if (same == length && same == n) return index;
        keys += length + (keys[length] == ' ');
    }
    return -1;
}

/* Notes that a key was seen; refuses it if it was before. */
static int first_time(uint32_t *seen, int index, const char *where, const char *key) {
    if (*seen & 1u << index) {
        sluice_text_add(&reason, where);
        return complain(key, " is given twice");
    }
    *seen |= 1u << index;
    return 1;
}

static int read_claims(sluice_json *j) {
    static char key[64];
    uint32_t seen = 0;
    if (!sluice_json_enter(j, '{')) return complain("claims", " has to be an object");
    while (sluice_json_key(j, key, sizeof key)) {
        int which = key_index("user info grants expires", key), ok = 1;
        if (which < 0) return unknown_key("claims.", key, "user, info, grants, expires");
        if (!first_time(&seen, which, "claims.", key)) return 0;
        switch (which) {
        case 0: ok = read_claim(j, "claims.user", &config.user); break;
        case 1: ok = read_names(j, "claims.info", 1, &config.info); break;
        case 2: ok = read_claim(j, "claims.grants", &config.grants); break;
        default: ok = read_claim(j, "claims.expires", &config.expires); break;
        }
        if (!ok) return 0;
    }
    for (uint32_t i = 0; i < config.info.count; i++)
        if (!check_claim("claims.info", config.info.of[i])) return 0;
    return !j->bad;
}

static int read_required_value(sluice_json *j, requirement *r) {
    static char digits[24];
    char c = sluice_json_peek(j);
    if (c == '"') {
        r->how = REQUIRE_TEXT;
        return read_word(j, "required", &r->value);
    }
    r->how = REQUIRE_WORD;
    if (read_literal(j, &r->value)) return 1;
    int64_t v;
    sluice_text t = sluice_text_in(digits, sizeof digits);
    if (!sluice_json_int(j, &v)) return complain("required", ": a value has to be a string, a whole number, true, false or null");
    sluice_text_add_int(&t, v);
    r->value.ptr = words + words_used;
    r->value.len = t.len;
    if (t.len > WORDS - words_used) return complain("required", ": the strings of the configuration take more than 32768 bytes together");
    for (uint32_t i = 0; i < t.len; i++) words[words_used++] = digits[i];
    return 1;
}

static int read_required(sluice_json *j) {
    static char key[MAX_NAME + 1];
    if (sluice_json_peek(j) == '[') {
        names list;
        if (!read_names(j, "required", 1, &list)) return 0;
        for (uint32_t i = 0; i < list.count; i++) {
            config.required[i].claim = list.of[i];
            config.required[i].how = REQUIRE_PRESENT;
        }
        config.required_count = list.count;
        return 1;
    }
    if (!sluice_json_enter(j, '{')) return complain("required", " has to be a list of claims, or an object of claims and their values");
    while (sluice_json_key(j, key, sizeof key)) {
        sluice_string name = sluice_string_of(key);
        if (name.len == 0) return complain("required", " has a claim without a name");
        if (config.required_count == MAX_NAMES) return complain("required", " has more than 16 entries");
        for (uint32_t i = 0; i < config.required_count; i++)
            if (same_text(config.required[i].claim, name)) return complain("required", " has a claim twice");
        if (name.len > WORDS - words_used) return complain("required", ": the strings of the configuration take more than 32768 bytes together");
        requirement *r = &config.required[config.required_count++];
        r->claim.ptr = words + words_used;
        r->claim.len = name.len;
        for (uint32_t i = 0; i < name.len; i++) words[words_used++] = name.ptr[i];
        if (!read_required_value(j, r)) return 0;
    }
    return !j->bad;
}

static int read_key(sluice_json *j, int which) {
    switch (which) {
    case 0: return read_names(j, "issuer", 0, &config.issuer);
    case 1: return read_names(j, "audience", 0, &config.audience);
    case 2: return read_algorithms(j);
    case 3: return read_whole(j, "leeway", 0, 600, &config.leeway);
    case 4: return read_whole(j, "max_bytes", 256, MAX_TOKEN, &config.max_bytes);
    case 5: return read_flag(j, "optional", &config.optional);
    case 6: return read_flag(j, "require_expiry", &config.require_expiry);
    case 7: return read_flag(j, "deep_grants", &config.deep_grants);
    case 8: return read_claims(j);
    default: return read_required(j);
    }
}

static void set_defaults(void) {
    config.issuer.count = config.audience.count = 0;
    config.user = sluice_string_of("sub");
    config.info.of[0] = sluice_string_of("name");
    config.info.count = 1;
    config.grants = sluice_string_of("grants");
    config.expires = sluice_string_of("exp");
    config.required_count = 0;
    config.algorithms = (1u << ALGORITHMS) - 1;
    config.leeway = 60;
    config.max_bytes = 8192;
    config.optional = config.deep_grants = 0;
    config.require_expiry = 1;
}

/* Reads the configuration; where it is not acceptable, reason says why. */
static int read_configuration(sluice_string text) {
    static char key[64];
    uint32_t seen = 0;
    sluice_json j = sluice_json_in(text);
    reason = sluice_text_in(reason_storage, sizeof reason_storage);
    words_used = 0;
    set_defaults();
    int ok = sluice_json_enter(&j, '{');
    while (ok && sluice_json_key(&j, key, sizeof key)) {
        int which = key_index("issuer audience algorithms leeway max_bytes optional require_expiry deep_grants claims required", key);
        if (which < 0)
            return unknown_key("", key, "issuer, audience, algorithms, leeway, max_bytes, optional, require_expiry, deep_grants, claims, required");
        ok = first_time(&seen, which, "", key) && read_key(&j, which);
    }
    if (ok && sluice_json_done(&j)) return 1;
    if (reason.len == 0) sluice_text_add(&reason, "the configuration has to be a JSON object with keys of up to 63 bytes");
    return 0;
}

#endif

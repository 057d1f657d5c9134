/* grants.h: whether the host will take a token's grants, and whether they are
 * narrow enough. The host reads them once more, and enforces them. */
#ifndef AUTH_GRANTS_H
#define AUTH_GRANTS_H

#include "sluice.h"
#include "sluice_json.h"
#include "sluice_rooms.h"

enum { MAX_RULES = 256 };

/* Reads a pattern, with two stars in a row only if that is allowed. */
static int read_rooms(sluice_json *j, int deep) {
    static char storage[SLUICE_MAX_PATTERN + 1];
    sluice_string pattern = {storage, 0};
    if (!sluice_json_string(j, storage, sizeof storage, &pattern.len) || sluice_pattern_fault(pattern)) return 0;
    return deep || !sluice_pattern_is_deep(pattern);
}

enum { ALLOWS_IN_ROOMS = 1, ALLOWS_ANYWHERE = 2 };

/* Reads what a rule allows: a mask of the two. */
static int read_allow(sluice_json *j, int *mask) {
    static const char *const known[] = {"join", "send", "presence", "history", "broadcast", "direct"};
    char word[16];
    if (!sluice_json_enter(j, '[')) return 0;
    while (sluice_json_next(j)) {
        int i = 0;
        uint32_t n;
        if (!sluice_json_string(j, word, sizeof word, &n)) return 0;
        sluice_string s = {word, n};
        while (i < 6 && !sluice_is(s, known[i])) i++;
        if (i == 6) return 0;
        *mask |= i < 4 ? ALLOWS_IN_ROOMS : ALLOWS_ANYWHERE;
    }
    return !j->bad;
}

/* Goes to the next member of an object. The length of its key counts: a key that
 * goes on behind a NUL is another key, to the host as well. */
static int next_key(sluice_json *j, char *storage, uint32_t cap, sluice_string *key) {
    key->ptr = storage;
    if (!sluice_json_next_(j, '}') || !sluice_json_string(j, storage, cap, &key->len)) return 0;
    if (sluice_json_peek(j) != ':') return sluice_json_fail_(j);
    j->at++;
    return 1;
}

static int read_rule(sluice_json *j, int deep) {
    char key[8];
    int rooms = 0, allow = 0, mask = 0;
    if (!sluice_json_enter(j, '{')) return 0;
    sluice_string name;
    while (next_key(j, key, sizeof key, &name)) {
        if (sluice_is(name, "rooms")) {
            rooms = read_rooms(j, deep);
            if (!rooms) return 0;
        } else if (sluice_is(name, "allow")) {
            allow = read_allow(j, &mask);
            if (!allow) return 0;
        } else {
            return 0;
        }
    }
    return !j->bad && allow && !(mask & (rooms ? ALLOWS_ANYWHERE : ALLOWS_IN_ROOMS));
}

static int grants_ok(sluice_string text, int deep) {
    sluice_json j = sluice_json_in(text);
    uint32_t rules = 0;
    if (!sluice_json_enter(&j, '[')) return 0;
    while (sluice_json_next(&j))
        if (++rules > MAX_RULES || !read_rule(&j, deep)) return 0;
    return sluice_json_done(&j);
}

#endif

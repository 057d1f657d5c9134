/* sluice_rooms.h: room patterns, as they are in grants and in the node's own
 * configuration: * stands for any run of bytes without ':', ** for any run.
 *
 *     sluice_string chats = sluice_string_of("chat:*");
 *     if (sluice_pattern_matches(chats, sluice_room(e))) ...
 *
 * A pattern from a configuration goes through sluice_pattern_fault first. */
#ifndef SLUICE_ROOMS_H
#define SLUICE_ROOMS_H

#include "sluice.h"

enum { SLUICE_MAX_PATTERN = 1024 }; /* bytes */

/* What is wrong with a pattern, to be said behind its name: "has three stars in
 * a row: ..."; NULL if nothing is. That it is UTF-8 is not looked at: what comes
 * from JSON is. */
SLUICE_RARE const char *sluice_pattern_fault(sluice_string pattern) {
    uint32_t stars = 0;
    if (pattern.len == 0 || pattern.len > SLUICE_MAX_PATTERN) return "has to be a room pattern, a string of 1 to 1024 bytes";
    for (uint32_t i = 0; i < pattern.len; i++) {
        stars = pattern.ptr[i] == '*' ? stars + 1 : 0;
        if (stars == 3) return "has three stars in a row: * is any run without a colon, ** any run";
    }
    return NULL;
}

/* Whether a pattern has ** in it, and so may match rooms of any depth. */
SLUICE_RARE int sluice_pattern_is_deep(sluice_string pattern) {
    for (uint32_t i = 1; i < pattern.len; i++)
        if (pattern.ptr[i] == '*' && pattern.ptr[i - 1] == '*') return 1;
    return 0;
}

/* Whether a pattern without a fault matches the whole name. At a mismatch the
 * last * takes one byte more, and where that is a ':' the last ** does; earlier
 * stars never need to be tried again, so the work is bounded by the product of
 * the lengths. */
SLUICE_RARE int sluice_pattern_matches(sluice_string pattern, sluice_string name) {
    const char *p = pattern.ptr, *s = name.ptr;
    uint32_t i = 0, k = 0;
    uint32_t star = 0, star_end = 0; /* behind the last * since the last **, and where its run ends; 0: none */
    uint32_t deep = 0, deep_end = 0; /* the same of the last ** */
    for (;;) {
        if (i < pattern.len && p[i] == '*') {
            if (i + 1 < pattern.len && p[i + 1] == '*') {
                deep = i += 2;
                deep_end = k;
                star = 0;
            } else {
                star = ++i;
                star_end = k;
            }
            continue;
        }
        if (i < pattern.len && k < name.len && p[i] == s[k]) {
            i++;
            k++;
            continue;
        }
        if (i == pattern.len && k == name.len) return 1;
        if (star) {
            if (star_end == name.len) return 0; /* a ** that began later would only see less */
            if (s[star_end] != ':') {
                i = star;
                k = ++star_end;
                continue;
            }
            if (!deep) return 0;
            /* What follows the ** has a fixed number of colons: it can only fit
             * where the first of them is another one. */
            while (s[deep_end] != ':') deep_end++;
            star = 0;
        } else if (!deep || deep_end == name.len) {
            return 0;
        }
        i = deep;
        k = ++deep_end;
    }
}

#endif /* SLUICE_ROOMS_H */

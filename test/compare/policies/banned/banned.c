/* banned: refuses content that has a word in it, byte for byte. It is the
 * policy that the comparison is made with, and nothing else. */
#define SLUICE_IMPLEMENTATION
#include "sluice.h"

static const char word[] = "forbidden";

SLUICE_ON_MESSAGE(e) {
    sluice_string s = sluice_payload(e);
    const uint32_t n = sizeof word - 1;
    for (uint32_t i = 0; i + n <= s.len; i++) {
        if (s.ptr[i] != word[0]) continue;
        uint32_t k = 1;
        while (k < n && s.ptr[i + k] == word[k]) k++;
        if (k == n) return sluice_deny(e, SLUICE_INVALID, "banned word");
    }
    return SLUICE_CONTINUE;
}

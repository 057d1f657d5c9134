/* hello: refuses a word, and numbers the messages of each connection.
 *
 * Configuration: {"word": "..."}, up to 63 bytes. */
#define SLUICE_IMPLEMENTATION
#include "sluice.h"
#include "sluice_json.h"

static char word[64];
static uint32_t word_length;

SLUICE_ON_CONFIGURE(e) {
    sluice_json j = sluice_json_in(sluice_payload(e));
    char key[8];
    word_length = 0;
    if (!sluice_json_enter(&j, '{')) return sluice_deny(e, SLUICE_INVALID, "the configuration has to be an object");
    while (sluice_json_key(&j, key, sizeof key)) {
        if (!sluice_is(sluice_string_of(key), "word")) return sluice_deny(e, SLUICE_INVALID, "unknown key: only word is known");
        if (!sluice_json_string(&j, word, sizeof word, &word_length))
            return sluice_deny(e, SLUICE_INVALID, "word has to be a string of up to 63 bytes");
    }
    if (!sluice_json_done(&j)) return sluice_deny(e, SLUICE_INVALID, "unknown key: only word is known");
    if (word_length == 0) return sluice_deny(e, SLUICE_INVALID, "word is missing");
    return SLUICE_CONTINUE;
}

static int contains_word(sluice_string s) {
    const uint32_t n = word_length;
    for (uint32_t i = 0; i + n <= s.len; i++) {
        if (s.ptr[i] != word[0]) continue;
        uint32_t k = 1;
        while (k < n && s.ptr[i + k] == word[k]) k++;
        if (k == n) return 1;
    }
    return 0;
}

SLUICE_ON_MESSAGE(e) {
    static uint32_t count;     /* outputs are read after the hook has returned, */
    static char stamped[8192]; /* so they are static, never local */
    sluice_string content = sluice_payload(e), state = sluice_state(e);

    if (contains_word(content)) {
        sluice_log(SLUICE_LOG_INFO, "refused a message");
        return sluice_deny(e, SLUICE_INVALID, "that word is not welcome here");
    }
    count = 0;
    for (uint32_t i = 0; i < sizeof count && state.len == sizeof count; i++) ((char *)&count)[i] = state.ptr[i];
    count++;
    sluice_set_state(e, &count, sizeof count);

    if (content.len > sizeof stamped - 32) return sluice_deny(e, SLUICE_TOO_LARGE, "too long to be stamped");
    sluice_text t = sluice_text_in(stamped, sizeof stamped);
    sluice_text_add(&t, "{\"n\":");
    sluice_text_add_int(&t, count);
    sluice_text_add(&t, ",\"content\":");
    sluice_text_add_n(&t, content.ptr, content.len);
    sluice_text_add(&t, "}");
    return sluice_rewrite(e, t.ptr, t.len);
}

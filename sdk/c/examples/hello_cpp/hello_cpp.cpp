/* hello in C++: refuses a word, and numbers the messages of each connection.
 *
 * Configuration: {"word": "..."}, up to 63 bytes. */
#define SLUICE_IMPLEMENTATION
#include "sluice.hpp"
#include "sluice_json.h"

static char storage[64];
static sluice::view word;

SLUICE_ON_CONFIGURE(raw) {
    sluice::event e(raw);
    sluice_json j = sluice_json_in(e.payload());
    char key[8];
    uint32_t length = 0;
    word = sluice::view();
    if (!sluice_json_enter(&j, '{')) return e.deny(SLUICE_INVALID, "the configuration has to be an object");
    while (sluice_json_key(&j, key, sizeof key)) {
        if (sluice::view(key) != "word") return e.deny(SLUICE_INVALID, "unknown key: only word is known");
        if (!sluice_json_string(&j, storage, sizeof storage, &length))
            return e.deny(SLUICE_INVALID, "word has to be a string of up to 63 bytes");
    }
    if (!sluice_json_done(&j)) return e.deny(SLUICE_INVALID, "unknown key: only word is known");
    if (length == 0) return e.deny(SLUICE_INVALID, "word is missing");
    word = sluice::view(storage, length);
    return SLUICE_CONTINUE;
}

SLUICE_ON_MESSAGE(raw) {
    static uint32_t count;             /* outputs are read after the hook has returned, */
    static sluice::text<8192> stamped; /* so they are static, never local */
    sluice::event e(raw);

    if (e.payload().contains(word)) {
        sluice::log(SLUICE_LOG_INFO, "refused a message");
        return e.deny(SLUICE_INVALID, "that word is not welcome here");
    }
    count = 0;
    e.get_state_of(count);
    count++;
    e.set_state_of(count);

    if (e.payload().size() > 8160) return e.deny(SLUICE_TOO_LARGE, "too long to be stamped");
    stamped.clear();
    stamped.add("{\"n\":").add(count).add(",\"content\":").add(e.payload()).add("}");
    return e.rewrite(stamped);
}

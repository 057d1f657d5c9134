/* Uses malloc beside the SDK's buffer: neither may touch the other's memory. */
#include <stdlib.h>
#include <string.h>
#define SLUICE_IMPLEMENTATION
#include "sluice.h"

SLUICE_ON_MESSAGE(e) {
    sluice_string content = sluice_payload(e);
    uint32_t first = content.len;
    char *copy = (char *)malloc(content.len), *more;
    if (!copy) return SLUICE_FAIL;
    memcpy(copy, content.ptr, content.len);
    more = (char *)malloc(3 * first);
    if (!more) return SLUICE_FAIL;
    memset(more, 'x', 3 * first);
    if (content.len != sluice_payload(e).len || memcmp(copy, content.ptr, first) != 0)
        return sluice_deny(e, SLUICE_CONFLICT, "memory was overwritten");
    free(more);
    free(copy);
    return SLUICE_CONTINUE;
}

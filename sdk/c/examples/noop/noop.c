/* noop: continues with every message. It shows what a call costs. */
#define SLUICE_IMPLEMENTATION
#include "sluice.h"

SLUICE_ON_MESSAGE(e) {
    (void)e;
    return SLUICE_CONTINUE;
}

/* memory.h: where the validator's data lives.
 *
 * The arena holds the compiled schemas: it only grows, and only while the
 * filter is configured. A region holds what one message needs (its tape, its
 * scratch space); the next message uses it again, so memory stays flat once
 * the largest message has been seen. Nothing is ever freed. */
#ifndef VALIDATE_MEMORY_H
#define VALIDATE_MEMORY_H

enum { PAGE = 65536 };
#define UNLIMITED 0xFFFFFFFFu

#ifdef __wasm__
/* Fresh pages, which are zero; NULL where the limit does not allow them. */
static char *pages(uint32_t n) {
    size_t at = __builtin_wasm_memory_grow(0, n);
    return at == (size_t)-1 ? NULL : (char *)(at * PAGE);
}
#else
#include <stdlib.h>
static char *pages(uint32_t n) { return (char *)calloc(n, PAGE); }
#endif

static char *arena_at;
static uint32_t arena_left;

/* n zeroed bytes, aligned to 8; NULL where memory is exhausted. */
static void *arena(uint32_t n) {
    char *p;
    n = (n + 7) & ~7u;
    if (n > arena_left) {
        uint32_t want = n / PAGE + 1;
        if ((p = pages(want)) == NULL) return NULL;
        if (arena_at == NULL || p != arena_at + arena_left) {
            arena_at = p;
            arena_left = 0;
        }
        arena_left += want * PAGE;
    }
    p = arena_at;
    arena_at += n;
    arena_left -= n;
    return p;
}

typedef struct {
    char *at;
    uint32_t size;
} region;

/* Makes the region hold at least n bytes. What was in it is lost if it grows. */
static int reserve(region *r, uint32_t n) {
    uint32_t want;
    char *p;
    if (n <= r->size) return 1;
    want = n / PAGE + 1;
    if (want < r->size / PAGE * 2 && (p = pages(r->size / PAGE * 2)) != NULL)
        want = r->size / PAGE * 2;
    else if ((p = pages(want)) == NULL)
        return 0;
    r->at = p;
    r->size = want * PAGE;
    return 1;
}

/* Scratch space is taken and given back like a stack. Whoever takes some
 * reserves it before, at a place where nothing else is taken. */
static region scratch;
static uint32_t scratch_used;

static int scratch_reserve(uint32_t n) { return reserve(&scratch, n); }

static void *scratch_take(uint32_t n) {
    char *p;
    n = (n + 7) & ~7u;
    if (n > scratch.size - scratch_used) return NULL;
    p = scratch.at + scratch_used;
    scratch_used += n;
    return p;
}

/* The same, zeroed. */
static void *scratch_clear(uint32_t n) {
    uint64_t *p = (uint64_t *)scratch_take(n);
    if (p)
        for (uint32_t i = 0; i < (n + 7) / 8; i++) p[i] = 0;
    return p;
}

/* How many slots a hash table of n entries has: a power of two, more than n and at most 2.5 times n, or 2. */
static uint32_t table_size(uint32_t n) {
    uint32_t p = 2;
    while (p <= n + n / 4) p *= 2;
    return p;
}

#endif

/* clang-19 --target=wasm32 -O2 -nostdlib -ffreestanding -Wl,--no-entry -o limit.wasm limit.c */
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;
typedef struct {
    u32 ptr, len;
} span;
typedef struct {
    u32 size, hook, kind, flags;
    i64 time_ns;
    u64 conn, seq;
    span payload, room, user, target, claims, state;
    u32 state_version, cause;
    span meta, lookup, remote;
    i64 expires_ms;
    u32 out_code, out_retry_ms;
    span out_reason, out_payload, out_room, out_state, out_user, out_claims, out_grants;
    i64 out_expires_ms;
} event;
#define EXPORT(name) __attribute__((export_name(#name)))

static u64 buffer[16384]; /* 128 KiB, 8-aligned */
static const char reason[] = "content is over 1000 bytes";

EXPORT(sluice_abi_v1) void marker(void) {}

EXPORT(sluice_buffer) void *give_buffer(u32 min) { return min <= sizeof buffer ? buffer : 0; }

EXPORT(on_message) int judge(event *e) {
    if (e->payload.len <= 1000) return 0; /* continue */
    e->out_code = 413;
    e->out_reason.ptr = (u32)(unsigned long)reason;
    e->out_reason.len = sizeof reason - 1;
    return 2; /* deny */
}

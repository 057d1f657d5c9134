/**
 * The event's buffer, and the memory that the package itself takes during a
 * hook: slices, decoded strings, composed text. It is handed out one behind the
 * other and taken back all at once when the next event comes, so it needs no
 * collector and nothing leaks, whatever runtime the filter is built with.
 */

// @ts-ignore: decorator
@lazy let buffer: usize = 0;
// @ts-ignore: decorator
@lazy let bufferPages: i32 = 0;

/** The marker: the module speaks version 1. It is never called. */
export function sluice_abi_v1(): void {}

/** Hands out the buffer that events are written into, in pages of its own; 0 refuses. */
export function sluice_buffer(min: i32): usize {
  // The allocators of the runtimes with a collector take all the memory that
  // there is when they first allocate: that has to be before this grows it.
  if (ASC_RUNTIME != 0 && buffer == 0) heap.free(heap.alloc(0));
  if (min < 0) return 0;
  const pages = max((min + 0xffff) >>> 16, 1);
  if (pages <= bufferPages) return buffer;
  const end = memory.size();
  if (ASC_RUNTIME == 0) {
    // The stub's heap goes on to the end of memory, wherever that is: the buffer
    // has to come from it. Growing first tells whether there is room.
    if (memory.grow(pages) < 0) return 0;
    buffer = heap.alloc(<usize>pages << 16);
  } else if (bufferPages > 0 && buffer + (<usize>bufferPages << 16) == <usize>end << 16) {
    if (memory.grow(pages - bufferPages) < 0) return 0;
  } else {
    if (memory.grow(pages) < 0) return 0;
    buffer = <usize>end << 16;
  }
  bufferPages = pages;
  return buffer;
}

/** The flag by which an event is known that memory was taken for: the host writes flags anew for each. */
export const SEEN: u32 = 0x80000000;

// A chunk begins with the address of the one before it and its own size.
const HEAD: usize = 8;
// @ts-ignore: decorator
@lazy let chunk: usize = 0;
// @ts-ignore: decorator
@lazy let top: usize = 0;
// @ts-ignore: decorator
@lazy let end: usize = 0;

/** n bytes, 8-aligned, valid until the hook returns. */
export function take(n: usize): usize {
  if (buffer != 0) {
    const flags = load<u32>(buffer, 12);
    if (!(flags & SEEN)) {
      store<u32>(buffer, flags | SEEN, 12);
      if (chunk != 0) takeBack();
    }
  }
  if (n > end - top) grow(n);
  const at = top;
  top = min(at + ((n + 7) & ~7), end);
  return at;
}

/** Makes the last n bytes that take handed out at address at hold more, if nothing was taken since and they fit. */
export function extend(at: usize, n: usize, more: usize): bool {
  if (at + ((n + 7) & ~7) != top || more > end - at) return false;
  top = min(at + ((more + 7) & ~7), end);
  return true;
}

function grow(n: usize): void {
  const last = chunk == 0 ? 0 : load<u32>(chunk, 4);
  const size = max<usize>(max<usize>(2 * last, 2048), (n + HEAD + 7) & ~7);
  const next = heap.alloc(size);
  store<u32>(next, <u32>chunk);
  store<u32>(next, <u32>size, 4);
  chunk = next;
  top = next + HEAD;
  end = next + size;
}

function takeBack(): void {
  if (load<u32>(chunk) == 0) {
    top = chunk + HEAD;
    return;
  }
  // There are several: one of their size replaces them.
  let size: usize = 0;
  while (chunk != 0) {
    const last = load<u32>(chunk);
    size += load<u32>(chunk, 4);
    heap.free(chunk);
    chunk = last;
  }
  top = end = 0;
  grow(size - HEAD);
}

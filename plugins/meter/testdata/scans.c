// Byte scans as filters do them, for measuring what metering costs. Each takes the number of bytes in buffer.
// Built by build.sh; the .wasm is committed.

#define EXPORT(name) __attribute__((export_name(#name)))
typedef unsigned char u8;
typedef unsigned int u32;

static u8 data[65536];

EXPORT(buffer) u8 *buffer(void) { return data; }

// The first place of a byte, as strchr finds it.
EXPORT(find_byte) u32 find_byte(u32 n) {
  for (u32 i = 0; i < n; i++)
    if (data[i] == '#') return i;
  return n;
}

// A banned word, ASCII case folded, at every place.
static const char word[] = "forbidden";
EXPORT(banned_word) u32 banned_word(u32 n) {
  for (u32 i = 0; i + sizeof word - 1 <= n; i++) {
    u32 j = 0;
    for (; j < sizeof word - 1; j++) {
      u8 c = data[i + j];
      if (c >= 'A' && c <= 'Z') c |= 0x20;
      if (c != (u8)word[j]) break;
    }
    if (j == sizeof word - 1) return i;
  }
  return n;
}

// FNV-1a.
EXPORT(hash) u32 hash(u32 n) {
  u32 h = 2166136261u;
  for (u32 i = 0; i < n; i++) h = (h ^ data[i]) * 16777619u;
  return h;
}

// Adler-32's two sums, taken modulo in blocks.
EXPORT(checksum) u32 checksum(u32 n) {
  u32 a = 1, b = 0, i = 0;
  while (i < n) {
    u32 stop = i + 5552 < n ? i + 5552 : n;
    for (; i < stop; i++) {
      a += data[i];
      b += a;
    }
    a %= 65521;
    b %= 65521;
  }
  return b << 16 | a;
}

// Whether the bytes are UTF-8: 1 or 0.
EXPORT(utf8) u32 utf8(u32 n) {
  u32 i = 0;
  while (i < n) {
    u8 c = data[i];
    if (c < 0x80) {
      i++;
      continue;
    }
    u32 more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
    if (c < 0xc2 || c > 0xf4 || i + more >= n + 0u) return 0;
    u8 d = data[i + 1];
    if ((d & 0xc0) != 0x80) return 0;
    if ((c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) || (c == 0xf0 && d < 0x90) || (c == 0xf4 && d > 0x8f)) return 0;
    for (u32 k = 2; k <= more; k++)
      if ((data[i + k] & 0xc0) != 0x80) return 0;
    i += more + 1;
  }
  return 1;
}

// Skips a JSON value: the depth that it reached, with strings and escapes passed over.
EXPORT(json_skip) u32 json_skip(u32 n) {
  u32 depth = 0, deepest = 0;
  for (u32 i = 0; i < n; i++) {
    switch (data[i]) {
    case '"':
      for (i++; i < n && data[i] != '"'; i++)
        if (data[i] == '\\') i++;
      break;
    case '{':
    case '[':
      if (++depth > deepest) deepest = depth;
      break;
    case '}':
    case ']':
      depth--;
      break;
    }
  }
  return deepest;
}

// The number of words, by a table of character classes.
static const u8 space[256] = {['\t'] = 1, ['\n'] = 1, ['\r'] = 1, [' '] = 1};
EXPORT(words) u32 words(u32 n) {
  u32 count = 0, inside = 0;
  for (u32 i = 0; i < n; i++) {
    u32 in = !space[data[i]];
    count += in & ~inside;
    inside = in;
  }
  return count;
}

// Calls, recursion and mixed work, for measuring what metering costs beside byte scans (scans.c).

#define EXPORT(name) __attribute__((export_name(#name)))
#define APART __attribute__((noinline))
typedef unsigned char u8;
typedef unsigned int u32;

static u8 data[65536];
static u32 numbers[16384];

EXPORT(buffer) u8 *buffer(void) { return data; }

static APART u32 fibonacci(u32 n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }
EXPORT(recursion) u32 recursion(u32 n) { return fibonacci(n < 1000 ? 12 : 16); }

// A function called for each word, which has a loop of its own.
static APART u32 skip_word(u32 i, u32 n) {
  while (i < n && data[i] != ' ') i++;
  return i;
}
EXPORT(call_with_loop) u32 call_with_loop(u32 n) {
  u32 count = 0;
  for (u32 i = 0; i < n; i++, count++) i = skip_word(i, n);
  return count;
}

// A small function called for each byte.
static APART u32 fold(u8 c) { return c >= 'A' && c <= 'Z' ? c | 0x20 : c; }
EXPORT(call_leaf) u32 call_leaf(u32 n) {
  u32 h = 0;
  for (u32 i = 0; i < n; i++) h = h * 31 + fold(data[i]);
  return h;
}

// The same through a table.
static APART u32 flip(u8 c) { return c ^ 0x20; }
static u32 (*volatile handlers[2])(u8) = {fold, flip};
EXPORT(call_indirect) u32 call_indirect(u32 n) {
  u32 h = 0;
  for (u32 i = 0; i < n; i++) h = h * 31 + handlers[i & 1](data[i]);
  return h;
}

static APART void quicksort(u32 *a, int lo, int hi) {
  while (lo < hi) {
    u32 pivot = a[(lo + hi) / 2];
    int i = lo, j = hi;
    while (i <= j) {
      while (a[i] < pivot) i++;
      while (a[j] > pivot) j--;
      if (i <= j) {
        u32 t = a[i];
        a[i++] = a[j];
        a[j--] = t;
      }
    }
    quicksort(a, lo, j);
    lo = i;
  }
}
EXPORT(sort) u32 sort(u32 n) {
  u32 x = 12345;
  n /= 4;
  for (u32 i = 0; i < n; i++) numbers[i] = x = x * 1664525 + 1013904223;
  quicksort(numbers, 0, (int)n - 1);
  return numbers[n / 2];
}

// A bytecode interpreter: a switch in a loop.
EXPORT(interpreter) u32 interpreter(u32 n) {
  u32 a = 1, b = 2;
  for (u32 i = 0; i < n; i++) {
    switch (data[i] & 15) {
    case 0: a += b; break;
    case 1: b ^= a; break;
    case 2: a = a << 1 | a >> 31; break;
    case 3: b -= a; break;
    case 4: a *= 3; break;
    case 5: b += 7; break;
    case 6: if (a & 1) b++; break;
    case 7: a ^= i; break;
    case 8: b *= 5; break;
    default: a++; b += a; break;
    }
  }
  return a ^ b;
}

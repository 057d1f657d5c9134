import { take } from "./memory";

/**
 * A run of bytes somewhere in memory: a view, which owns nothing. What an event
 * shows is valid until the hook returns, as is every slice; keep() makes a copy
 * that stays.
 */
// @ts-ignore: decorator
@unmanaged @final
export class Bytes {
  /** Where the bytes are. */
  readonly ptr: u32;
  /** How many there are. */
  readonly length: i32;

  private constructor() {}

  /** A view of bytes at an address. */
  static at(ptr: usize, length: i32): Bytes {
    const b = take(8);
    store<u32>(b, <u32>ptr);
    store<i32>(b, length, 4);
    return changetype<Bytes>(b);
  }

  /** Fresh bytes, zero, valid until the hook returns. */
  static alloc(length: i32): Bytes {
    if (length < 0) throw new RangeError("the length of Bytes is negative");
    const ptr = take(length);
    memory.fill(ptr, 0, length);
    return Bytes.at(ptr, length);
  }

  /**
   * The bytes of a string (as UTF-8), Bytes, a Text, a Uint8Array, a
   * StaticArray<u8> or an ArrayBuffer. Those of managed objects are copied.
   */
  static of<T>(value: T): Bytes {
    if (isString<T>()) {
      const s = changetype<usize>(value), units = changetype<string>(s).length;
      const most = <usize>units * 3, ptr = take(most);
      // A lone surrogate, which UTF-8 does not have, becomes U+FFFD.
      return Bytes.at(ptr, <i32>String.UTF8.encodeUnsafe(s, units, ptr, false, String.UTF8.ErrorMode.REPLACE));
    } else if (isReference<T>() && !isManaged<T>()) {
      return changetype<Bytes>(value);
    } else if (value instanceof ArrayBuffer) {
      return Bytes.copy(changetype<usize>(value), value.byteLength);
    } else if (value instanceof Uint8Array) {
      return Bytes.copy(value.dataStart, value.byteLength);
    } else if (value instanceof StaticArray<u8>) {
      return Bytes.copy(changetype<usize>(value), value.length);
    } else {
      ERROR("give a string, Bytes, a Text, a Uint8Array, a StaticArray<u8> or an ArrayBuffer");
      return changetype<Bytes>(0);
    }
  }

  private static copy(from: usize, length: i32): Bytes {
    const ptr = take(length);
    memory.copy(ptr, from, length);
    return Bytes.at(ptr, length);
  }

  /** A copy that stays for ever: for what is kept from the configuration. */
  keep(): Bytes {
    const b = heap.alloc(8 + <usize>this.length);
    store<u32>(b, <u32>(b + 8));
    store<i32>(b, this.length, 4);
    memory.copy(b + 8, this.ptr, this.length);
    return changetype<Bytes>(b);
  }

  // @ts-ignore: decorator
  @inline @operator("[]")
  private __get(i: i32): u8 {
    if (<u32>i >= <u32>this.length) throw new RangeError("the index is out of the Bytes' range");
    return load<u8>(this.ptr + i);
  }
  // @ts-ignore: decorator
  @inline @operator("{}")
  private __uget(i: i32): u8 {
    return load<u8>(this.ptr + i);
  }
  // @ts-ignore: decorator
  @inline @operator("[]=")
  private __set(i: i32, value: u8): void {
    if (<u32>i >= <u32>this.length) throw new RangeError("the index is out of the Bytes' range");
    store<u8>(this.ptr + i, value);
  }

  /** The number of type T at an offset, little-endian. */
  read<T>(offset: i32 = 0): T {
    this.check(offset, sizeof<T>());
    return load<T>(this.ptr + offset);
  }
  /** Writes a number of type T at an offset, little-endian. */
  write<T>(offset: i32, value: T): void {
    this.check(offset, sizeof<T>());
    store<T>(this.ptr + offset, value);
  }
  private check(offset: i32, size: usize): void {
    if (offset < 0 || <u64>offset + size > <u64>this.length) throw new RangeError("the offset is out of the Bytes' range");
  }

  /** The bytes from start to end, which are cut to what is there. A view of the same bytes. */
  slice(start: i32, end: i32 = i32.MAX_VALUE): Bytes {
    end = max(min(end, this.length), 0);
    start = max(min(start, end), 0);
    return Bytes.at(this.ptr + start, end - start);
  }

  /** Whether the bytes are a string's, as UTF-8, or equal other ones. */
  equals<T>(other: T): bool {
    if (isString<T>()) return this.isText(changetype<string>(changetype<usize>(other)));
    else {
      const o = Bytes.of<T>(other);
      return this.length == o.length && memory.compare(this.ptr, o.ptr, o.length) == 0;
    }
  }
  private isText(s: string): bool {
    const n = s.length, at = <usize>this.ptr;
    if (n > this.length) return false; // each unit takes a byte or more
    for (let i = 0; i < n; i++) {
      const c = load<u16>(changetype<usize>(s) + (<usize>i << 1));
      if (c >= 0x80) return this.equals<Bytes>(Bytes.of(s));
      if (load<u8>(at + i) != c) return false;
    }
    return n == this.length;
  }

  startsWith<T>(what: T): bool {
    const w = Bytes.of<T>(what);
    return w.length <= this.length && memory.compare(this.ptr, w.ptr, w.length) == 0;
  }
  endsWith<T>(what: T): bool {
    const w = Bytes.of<T>(what);
    return w.length <= this.length && memory.compare(this.ptr + this.length - w.length, w.ptr, w.length) == 0;
  }
  /** Where the bytes or the string first occur, from an offset on; -1: nowhere. */
  indexOf<T>(what: T, from: i32 = 0): i32 {
    const w = Bytes.of<T>(what), at = <usize>this.ptr, last = this.length - w.length;
    from = max(from, 0);
    if (w.length == 0) return from <= this.length ? from : -1;
    const first = load<u8>(w.ptr), eight = <u64>first * 0x0101010101010101;
    for (let i = from; i <= last; i++) {
      // Eight at once, while none of them is the first: then no byte of x is zero.
      while (i + 8 <= this.length) {
        const x = load<u64>(at + i) ^ eight;
        if (((x - 0x0101010101010101) & ~x & 0x8080808080808080) != 0) break;
        i += 8;
      }
      if (i > last) break;
      if (load<u8>(at + i) == first && same(at + i, w.ptr, w.length)) return i;
    }
    return -1;
  }
  // @ts-ignore: decorator
  @inline
  includes<T>(what: T): bool {
    return this.indexOf<T>(what) >= 0;
  }

  /** A string of the bytes, which are read as UTF-8. */
  toString(): string {
    return String.UTF8.decodeUnsafe(this.ptr, this.length);
  }
  /** A copy for the collector to take care of. */
  toUint8Array(): Uint8Array {
    const out = new Uint8Array(this.length);
    memory.copy(out.dataStart, this.ptr, this.length);
    return out;
  }
}

function same(a: usize, b: usize, n: usize): bool {
  for (let i: usize = 1; i < n; i++) {
    if (load<u8>(a + i) != load<u8>(b + i)) return false;
  }
  return true;
}

import { Bytes } from "./bytes";
import { extend, take } from "./memory";

/**
 * Composes text, such as a rewritten message, as UTF-8:
 *
 *     return e.rewrite(text().add("{\"n\":").add(n).add("}"));
 *
 * It grows as it needs to, and is valid until the hook returns.
 */
// @ts-ignore: decorator
@unmanaged @final
export class Text {
  // As in Bytes, so that a Text is one.
  private ptr: u32;
  private size: i32;
  private capacity: i32;

  private constructor() {}

  static of(capacity: i32): Text {
    const t = changetype<Text>(take(offsetof<Text>()));
    capacity = max(capacity, 16);
    t.ptr = <u32>take(capacity);
    t.size = 0;
    t.capacity = capacity;
    return t;
  }

  /** Bytes so far. */
  get length(): i32 {
    return this.size;
  }
  /** What was composed, without a copy. Adding more may move it: ask again then. */
  get bytes(): Bytes {
    return changetype<Bytes>(this);
  }

  /** Adds a string, bytes, a number in decimal, or a bool in words. */
  add<T>(value: T): this {
    if (isString<T>()) this.addString(changetype<string>(changetype<usize>(value)));
    else if (isBoolean<T>()) this.addString(value ? "true" : "false");
    else if (isFloat<T>()) this.addString(value.toString());
    else if (isInteger<T>() && isSigned<T>()) this.addNumber(value < 0, value < 0 ? 0 - <u64>value : <u64>value);
    else if (isInteger<T>()) this.addNumber(false, <u64>value);
    else {
      const b = Bytes.of<T>(value);
      this.addBytes(b.ptr, b.length);
    }
    return this;
  }

  /** Adds a string or bytes that are UTF-8 as a JSON string, quotes included. */
  quote<T>(value: T): this {
    const b = Bytes.of<T>(value);
    let from = <usize>b.ptr;
    const end = from + b.length;
    this.addByte(0x22);
    for (let at = from; at < end; at++) {
      const c = load<u8>(at);
      if (c >= 0x20 && c != 0x22 && c != 0x5c) continue;
      this.addBytes(from, <i32>(at - from));
      this.addByte(0x5c);
      if (c < 0x20) {
        this.addString("u00");
        this.addByte(0x30 + (c >> 4));
        this.addByte((c & 15) < 10 ? 0x30 + (c & 15) : 0x57 + (c & 15));
      } else this.addByte(c);
      from = at + 1;
    }
    this.addBytes(from, <i32>(end - from));
    this.addByte(0x22);
    return this;
  }

  /** Adds one byte. */
  addByte(c: u8): this {
    this.reserve(1);
    store<u8>(this.ptr + this.size++, c);
    return this;
  }
  private addBytes(from: usize, n: i32): void {
    this.reserve(n);
    memory.copy(this.ptr + this.size, from, n);
    this.size += n;
  }
  private addString(s: string): void {
    const n = s.length;
    this.reserve(3 * n);
    let to = <usize>this.ptr + this.size, i = 0;
    for (; i < n; i++) {
      const c = load<u16>(changetype<usize>(s) + (<usize>i << 1));
      if (c >= 0x80) break;
      store<u8>(to++, <u8>c);
    }
    if (i < n) to += String.UTF8.encodeUnsafe(changetype<usize>(s) + (<usize>i << 1), n - i, to, false, String.UTF8.ErrorMode.REPLACE);
    this.size = <i32>(to - this.ptr);
  }
  private addNumber(negative: bool, v: u64): void {
    this.reserve(20);
    if (negative) this.addByte(0x2d);
    let digits = 1;
    for (let rest = v / 10; rest != 0; rest /= 10) digits++;
    for (let at = <usize>this.ptr + this.size + digits; ; v /= 10) {
      store<u8>(--at, <u8>(0x30 + v % 10));
      if (v < 10) break;
    }
    this.size += digits;
  }

  private reserve(n: i32): void {
    if (n <= this.capacity - this.size) return;
    if (n > 0x1fffffff - this.size) throw new RangeError("the text has more than 512 MiB");
    const more = max(2 * this.capacity, this.size + n);
    if (!extend(this.ptr, this.capacity, more)) {
      const to = take(more);
      memory.copy(to, this.ptr, this.size);
      this.ptr = <u32>to;
    }
    this.capacity = more;
  }
}

/** An empty Text, with room for so many bytes at first. */
export function text(capacity: i32 = 256): Text {
  return Text.of(capacity);
}

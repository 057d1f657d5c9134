import { Bytes } from "./bytes";
import { take } from "./memory";
import { Text, text } from "./text";

/**
 * Reads a JSON document forward, strictly, such as a filter's configuration:
 *
 *     const j = Json.of(e.payload);
 *     j.object();
 *     while (j.nextKey()) {
 *       if (j.key.equals("max")) max = j.integer();
 *       else return e.deny(Code.Invalid, "unknown key");
 *     }
 *     if (!j.done) return e.deny(Code.Invalid, "max has to be a whole number");
 *
 * After a mistake every method answers nothing and bad is true, so looking at
 * done at the end suffices where the kind of mistake does not matter.
 */
// @ts-ignore: decorator
@unmanaged @final
export class Json {
  private at: usize;
  private end: usize;
  private _key: usize;
  private fresh: bool; // just behind an opening bracket: no comma is due
  private _bad: bool;

  private constructor() {}

  static of(document: Bytes): Json {
    const j = changetype<Json>(take(offsetof<Json>()));
    j.at = document.ptr;
    j.end = j.at + document.length;
    j._key = 0;
    j.fresh = false;
    j._bad = false;
    return j;
  }

  /** Whether it met what it did not expect. */
  get bad(): bool {
    return this._bad;
  }
  /** Whether all of the document was read without a mistake. */
  get done(): bool {
    return this.peek() == 0 && !this._bad && this.at == this.end;
  }

  /** The first byte of the next token: { [ " t f n - or a digit; 0 at the end and after a mistake. */
  peek(): u8 {
    if (this._bad) return 0;
    const end = this.end;
    let at = this.at, c: u8 = 0;
    for (; at < end; at++) {
      c = load<u8>(at);
      if (c != 0x20 && c != 0x09 && c != 0x0a && c != 0x0d) break;
      c = 0;
    }
    this.at = at;
    return c;
  }

  private fail(): bool {
    this._bad = true;
    return false;
  }
  private enter(bracket: u8): bool {
    if (this.peek() != bracket) return this.fail();
    this.at++;
    this.fresh = true;
    return true;
  }
  /** Goes into an object. */
  object(): bool {
    return this.enter(0x7b);
  }
  /** Goes into an array. */
  array(): bool {
    return this.enter(0x5b);
  }

  private next(close: u8): bool {
    let c = this.peek();
    const fresh = this.fresh;
    this.fresh = false;
    if (c == close) {
      this.at++;
      return false;
    }
    if (fresh) return c != 0 ? true : this.fail();
    if (c != 0x2c) return this.fail();
    this.at++;
    c = this.peek();
    return c != 0 && c != close ? true : this.fail();
  }
  /** Whether the array has another element, and goes to it; else goes out of the array. */
  nextItem(): bool {
    return this.next(0x5d);
  }
  /** Whether the object has another member, and goes to its value; else goes out of the object. */
  nextKey(): bool {
    if (!this.next(0x7d)) return false;
    const key = this.bytes();
    if (this.peek() != 0x3a) return this.fail();
    this.at++;
    this._key = changetype<usize>(key);
    return true;
  }
  /** The key of the member that nextKey went to. */
  get key(): Bytes {
    return this._key == 0 ? Bytes.at(this.at, 0) : changetype<Bytes>(this._key);
  }

  /** A string of at most so many bytes, decoded; valid until the hook returns. */
  bytes(most: i32 = i32.MAX_VALUE): Bytes {
    if (this.peek() != 0x22) return this.nothing();
    const start = this.at + 1, end = this.end;
    this.at = start;
    for (let at = start; at < end; at++) {
      const c = load<u8>(at);
      if (c == 0x22) {
        const length = <i32>(at - start);
        if (length > most) break;
        this.at = at + 1;
        return Bytes.at(start, length);
      }
      if (c == 0x5c) return this.decoded(most);
      if (c < 0x20) break;
    }
    return this.nothing();
  }
  private nothing(): Bytes {
    this.fail();
    return Bytes.at(this.at, 0);
  }
  /** A string of at most so many bytes, decoded. */
  string(most: i32 = i32.MAX_VALUE): string {
    return this.bytes(most).toString();
  }

  private decoded(most: i32): Bytes {
    const t = text();
    while (this.at < this.end) {
      let c = load<u8>(this.at++);
      if (c == 0x22) {
        if (t.length > most) break;
        return t.bytes;
      }
      if (c < 0x20) break;
      if (c == 0x5c) {
        if (this.at == this.end) break;
        c = load<u8>(this.at++);
        if (c == 0x75) {
          const point = this.point();
          if (point < 0) break;
          utf8(t, point);
          continue;
        }
        if (c == 0x62) c = 0x08;
        else if (c == 0x66) c = 0x0c;
        else if (c == 0x6e) c = 0x0a;
        else if (c == 0x72) c = 0x0d;
        else if (c == 0x74) c = 0x09;
        else if (c != 0x22 && c != 0x5c && c != 0x2f) break;
      }
      t.addByte(c);
    }
    return this.nothing();
  }
  /** The code point behind \u; -1: a mistake, such as a lone surrogate. */
  private point(): i32 {
    const high = this.unit();
    if (high < 0xd800 || high >= 0xe000) return high;
    if (high >= 0xdc00 || this.end - this.at < 6 || load<u16>(this.at) != 0x755c) return -1;
    this.at += 2;
    const low = this.unit();
    if (low < 0xdc00 || low >= 0xe000) return -1;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
  }
  private unit(): i32 {
    let unit = 0;
    for (let i = 0; i < 4; i++, this.at++) {
      const c = this.at < this.end ? load<u8>(this.at) : 0, letter = c | 0x20;
      if (c >= 0x30 && c <= 0x39) unit = unit << 4 | (c - 0x30);
      else if (letter >= 0x61 && letter <= 0x66) unit = unit << 4 | (letter - 0x57);
      else return -1;
    }
    return unit;
  }

  /** A whole number without fraction and exponent, of up to 15 digits. */
  integer(): i64 {
    const negative = this.peek() == 0x2d;
    if (this._bad) return 0;
    if (negative) this.at++;
    let v: i64 = 0, digits = 0, c: u8 = 0;
    for (; this.at < this.end; this.at++, digits++) {
      c = load<u8>(this.at);
      if (c < 0x30 || c > 0x39) break;
      if (digits == 15 || (digits > 0 && v == 0)) {
        this.fail();
        return 0;
      }
      v = v * 10 + (c - 0x30);
    }
    if (digits == 0 || (this.at < this.end && (c == 0x2e || (c | 0x20) == 0x65))) {
      this.fail();
      return 0;
    }
    return negative ? -v : v;
  }
  /** true or false. */
  boolean(): bool {
    const c = this.peek();
    if (c == 0x74 && this.word("true")) return true;
    if (c != 0x74 && !this.word("false")) this.fail();
    return false;
  }
  /** Whether the value is null, which is then behind. */
  isNull(): bool {
    return this.peek() == 0x6e && this.word("null");
  }
  private word(w: string): bool {
    const n = w.length;
    for (let i = 0; i < n; i++) {
      if (this.at + i >= this.end || load<u8>(this.at + i) != <u8>w.charCodeAt(i)) return this.fail();
    }
    this.at += n;
    return true;
  }

  /** Passes by a value of any kind, and shows its text, as it stands there. */
  raw(): Bytes {
    let c = this.peek();
    const start = this.at;
    let depth = 0;
    do {
      c = this.peek();
      if (c == 0x22) this.passString();
      else if (c == 0x7b || c == 0x5b) {
        depth++;
        this.at++;
      } else if (c == 0x7d || c == 0x5d) {
        if (--depth < 0) this.fail();
        this.at++;
      } else if (depth > 0 && (c == 0x2c || c == 0x3a)) this.at++;
      else if (!this.passScalar()) this.fail();
    } while (depth > 0 && !this._bad);
    this.fresh = false;
    return Bytes.at(start, this._bad ? 0 : <i32>(this.at - start));
  }
  private passString(): void {
    const end = this.end;
    for (let at = this.at + 1; at < end; at++) {
      const c = load<u8>(at);
      if (c == 0x5c) at++;
      else if (c == 0x22) {
        this.at = at + 1;
        return;
      }
    }
    this.at = end;
    this.fail();
  }
  private passScalar(): bool {
    const start = this.at, end = this.end;
    let at = start;
    for (; at < end; at++) {
      const c = load<u8>(at), letter = c | 0x20;
      if (!((c >= 0x30 && c <= 0x39) || (letter >= 0x61 && letter <= 0x7a) || c == 0x2d || c == 0x2b || c == 0x2e)) break;
    }
    this.at = at;
    return at > start;
  }
}

function utf8(t: Text, c: i32): void {
  if (c < 0x80) {
    t.addByte(<u8>c);
    return;
  }
  if (c < 0x800) t.addByte(<u8>(0xc0 | (c >> 6)));
  else {
    if (c < 0x10000) t.addByte(<u8>(0xe0 | (c >> 12)));
    else {
      t.addByte(<u8>(0xf0 | (c >> 18)));
      t.addByte(<u8>(0x80 | ((c >> 12) & 0x3f)));
    }
    t.addByte(<u8>(0x80 | ((c >> 6) & 0x3f)));
  }
  t.addByte(<u8>(0x80 | (c & 0x3f)));
}

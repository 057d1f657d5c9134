import { Bytes } from "./bytes";

const STAR: u8 = 0x2a;
const COLON: u8 = 0x3a;

/**
 * What is wrong with a room pattern, to be said behind its name: "has three stars
 * in a row: …"; null: nothing is. In a pattern * stands for any run of bytes
 * without a colon, ** for any run.
 */
export function patternFault(pattern: Bytes): string | null {
  if (pattern.length == 0 || pattern.length > 1024) return "has to be a room pattern, a string of 1 to 1024 bytes";
  let stars = 0;
  for (let i = 0; i < pattern.length; i++) {
    stars = unchecked(pattern[i]) == STAR ? stars + 1 : 0;
    if (stars == 3) return "has three stars in a row: * is any run without a colon, ** any run";
  }
  return null;
}

/** Whether a pattern has ** in it, and so may match rooms of any depth. */
export function patternIsDeep(pattern: Bytes): bool {
  for (let i = 1; i < pattern.length; i++) {
    if (unchecked(pattern[i]) == STAR && unchecked(pattern[i - 1]) == STAR) return true;
  }
  return false;
}

/**
 * Whether a pattern without a fault matches the whole name. At a mismatch the
 * last * takes one byte more, and where that is a colon the last ** does; earlier
 * stars never need to be tried again, so the work is bounded by the product of
 * the lengths.
 */
export function patternMatches(pattern: Bytes, name: Bytes): bool {
  const p = <usize>pattern.ptr, s = <usize>name.ptr;
  const pLength = pattern.length, sLength = name.length;
  let i = 0, k = 0;
  let star = 0, starEnd = 0; // behind the last * since the last **, and where its run ends; 0: none
  let deep = 0, deepEnd = 0; // the same of the last **
  while (true) {
    if (i < pLength && load<u8>(p + i) == STAR) {
      if (i + 1 < pLength && load<u8>(p + i + 1) == STAR) {
        deep = i += 2;
        deepEnd = k;
        star = 0;
      } else {
        star = ++i;
        starEnd = k;
      }
      continue;
    }
    if (i < pLength && k < sLength && load<u8>(p + i) == load<u8>(s + k)) {
      i++;
      k++;
      continue;
    }
    if (i == pLength && k == sLength) return true;
    if (star != 0) {
      if (starEnd == sLength) return false; // a ** that began later would only see less
      if (load<u8>(s + starEnd) != COLON) {
        i = star;
        k = ++starEnd;
        continue;
      }
      if (deep == 0) return false;
      // What follows the ** has a fixed number of colons: it can only fit where
      // the first of them is another one.
      while (load<u8>(s + deepEnd) != COLON) deepEnd++;
      star = 0;
    } else if (deep == 0 || deepEnd == sLength) {
      return false;
    }
    i = deep;
    k = ++deepEnd;
  }
}

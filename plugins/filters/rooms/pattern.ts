import { Bytes } from "../../../sdk/assemblyscript/assembly";
import { beginTexts, collectTexts, numberOf, textAt, textEnd } from "./claims";

// A pattern is a run of units: bytes that stand for themselves, stars, and
// placeholders. What replaces a placeholder are bytes, so nothing in a user's
// name or claim is ever taken for a star.
const STAR: u16 = 0x100; // any run without a colon
const DEEP: u16 = 0x101; // any run
const USER: u16 = 0x200; // ${user}
const CLAIM: u16 = 0x201; // ${claims.NAME}, and the number of the claim

const COLON: u8 = 0x3a;
const MAX_PATTERN = 1024;
const MAX_PLACEHOLDERS = 8;
const MAX_VALUE = 255;

/** How many ways to fill in a pattern's claims are tried; an event that needs more fails. */
const MAX_WAYS = 1024;

export class Pattern {
  units!: StaticArray<u16>;
  /** Units before the first star or placeholder. */
  fixed: i32 = 0;
  /** Whether ${user} is in it. */
  user: bool = false;
  /** The claims that are in it, each once. */
  claims: StaticArray<i32> = [];
}

/** Of parsePattern that returned null: what is wrong with the pattern, to be said behind its name. */
export let patternError: string = "";

function fault(what: string): Pattern | null {
  patternError = what;
  return null;
}

export function parsePattern(text: Bytes): Pattern | null {
  const n = text.length;
  if (n == 0 || n > MAX_PATTERN) return fault("has to be a pattern, a string of 1 to 1024 bytes");
  const units = new Array<u16>(), claims = new Array<i32>(), p = new Pattern();
  let placeholders = 0;
  for (let i = 0; i < n; ) {
    const c = text[i];
    if (c == 0x2a) {
      let stars = 1;
      while (i + stars < n && text[i + stars] == 0x2a) stars++;
      if (stars > 2) return fault("has three stars in a row: * is any run without a colon, ** any run");
      units.push(stars == 2 ? DEEP : STAR);
      i += stars;
    } else if (c == 0x24 && i + 1 < n && text[i + 1] == 0x7b) {
      const end = text.indexOf("}", i);
      if (++placeholders > MAX_PLACEHOLDERS) return fault("has more than 8 placeholders");
      const name = text.slice(i + 2, end < 0 ? n : end);
      if (end >= 0 && name.equals("user")) {
        units.push(USER);
        p.user = true;
      } else if (end >= 0 && name.startsWith("claims.") && name.length > 7) {
        const claim = numberOf(name.slice(7));
        if (claim < 0) return fault("names one claim too many: a configuration may name 32");
        units.push(CLAIM + <u16>claim);
        if (!claims.includes(claim)) claims.push(claim);
      } else return fault("has a placeholder that does not exist: there are ${user} and ${claims.NAME}");
      i = end + 1;
    } else {
      units.push(c);
      i++;
    }
  }
  p.units = StaticArray.fromArray<u16>(units);
  p.claims = StaticArray.fromArray<i32>(claims);
  while (p.fixed < units.length && units[p.fixed] < STAR) p.fixed++;
  return p;
}

// Where a pattern is filled in.
const filled = new StaticArray<u16>(MAX_PATTERN + MAX_PLACEHOLDERS * MAX_VALUE);
// Of the claims of the pattern at hand: where their texts end, and which of them is tried.
const ends = new StaticArray<i32>(MAX_PLACEHOLDERS);
const tried = new StaticArray<i32>(MAX_PLACEHOLDERS);

/**
 * Whether a pattern matches the whole name, with its placeholders standing for
 * the user and for claims, literally: 1 or 0; below 0: there are too many ways to
 * fill it in. A placeholder without a value matches nothing. A claim that is a list
 * stands for each of its strings, and for the same one wherever the pattern has it.
 */
export function matches(p: Pattern, name: Bytes, user: Bytes): i32 {
  const units = p.units, fixed = p.fixed;
  if (fixed > name.length) return 0;
  for (let i = 0; i < fixed; i++) {
    if (unchecked(units[i]) != <u16>load<u8>(name.ptr + i)) return 0;
  }
  if (fixed == units.length) return fixed == name.length ? 1 : 0;
  if (!p.user && p.claims.length == 0) return unitsMatch(units, units.length, name) ? 1 : 0;
  if (p.user && (user.length == 0 || user.length > MAX_VALUE)) return 0;
  return matchesFilled(p, name, user);
}

function matchesFilled(p: Pattern, name: Bytes, user: Bytes): i32 {
  const claims = p.claims;
  beginTexts();
  let ways = 1;
  for (let i = 0; i < claims.length; i++) {
    const first = textEnd();
    if (!collectTexts(unchecked(claims[i]))) return -1;
    const count = textEnd() - first;
    if (count == 0) return 0;
    ways *= count;
    if (ways > MAX_WAYS) return -1;
    unchecked((tried[i] = first));
    unchecked((ends[i] = first + count));
  }
  while (true) {
    if (unitsMatch(filled, fill(p, user), name)) return 1;
    let i = 0; // the next way, as an odometer counts
    for (; i < claims.length; i++) {
      const next = unchecked(tried[i]) + 1, wraps = next == unchecked(ends[i]);
      unchecked((tried[i] = wraps ? (i == 0 ? 0 : unchecked(ends[i - 1])) : next));
      if (!wraps) break;
    }
    if (i == claims.length) return 0;
  }
}

/** Fills the pattern in with what is tried, and returns how many units that has. */
function fill(p: Pattern, user: Bytes): i32 {
  const units = p.units;
  let n = 0;
  for (let i = 0; i < units.length; i++) {
    const u = unchecked(units[i]);
    if (u < USER) unchecked((filled[n++] = u));
    else {
      const value = u == USER ? user : textAt(unchecked(tried[p.claims.indexOf(u - CLAIM)]));
      for (let k = 0; k < value.length; k++) unchecked((filled[n++] = unchecked(value[k])));
    }
  }
  return n;
}

/**
 * Whether units without placeholders match the whole name, as the node itself
 * matches: at a mismatch the last * takes one byte more, and where that is a colon
 * the last ** does. Earlier stars need no second try.
 */
function unitsMatch(p: StaticArray<u16>, pLength: i32, name: Bytes): bool {
  const s = <usize>name.ptr, sLength = name.length;
  let i = 0, k = 0;
  let star = 0, starEnd = 0; // behind the last * since the last **, and where its run ends; 0: none
  let deep = 0, deepEnd = 0; // the same of the last **
  while (true) {
    if (i < pLength) {
      const u = unchecked(p[i]);
      if (u == DEEP) {
        deep = ++i;
        deepEnd = k;
        star = 0;
        continue;
      }
      if (u == STAR) {
        star = ++i;
        starEnd = k;
        continue;
      }
      if (k < sLength && u == <u16>load<u8>(s + k)) {
        i++;
        k++;
        continue;
      }
    } else if (k == sLength) return true;
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
    } else if (deep == 0 || deepEnd == sLength) return false;
    i = deep;
    k = ++deepEnd;
  }
}

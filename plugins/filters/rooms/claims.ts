import { Bytes, Json } from "../../../sdk/assemblyscript/assembly";

/** How many claims a configuration may name. */
export const MAX_CLAIMS = 32;

/** A value that a claim may have to have. */
export class Wanted {
  /** text: a string, decoded; else a whole number, true or false, as JSON has it. */
  constructor(public text: bool, public value: Bytes) {}
}

// The claims that the configuration names, in the order of their first mention.
const names: Array<Bytes> = [];

// Of the event at hand: its claims, and where the values of those claims are in
// them. They are looked for once an event needs one.
let claims!: Bytes;
let found: bool = false;
let unreadable: bool = false;
const starts = new StaticArray<usize>(MAX_CLAIMS);
const lengths = new StaticArray<i32>(MAX_CLAIMS); // 0: there is no such claim

/** The number of a claim in this module; below 0: that is one too many. */
export function numberOf(name: Bytes): i32 {
  for (let i = 0; i < names.length; i++) {
    if (names[i].equals(name)) return i;
  }
  return names.length == MAX_CLAIMS ? -1 : names.push(name.keep()) - 1;
}

/** Called for each event, before anything else here. */
export function beginClaims(all: Bytes): void {
  claims = all;
  found = false;
  unreadable = false;
}

/**
 * Whether something that was looked at could not be read, such as half of a
 * surrogate pair: what it says of the user is not known, so nothing is allowed by
 * it, and no denial is passed over.
 */
export function claimsUnreadable(): bool {
  return unreadable;
}

/** The value of a claim, as JSON; null: there is none. */
function valueOf(claim: i32): Json | null {
  if (!found) find();
  const length = unchecked(lengths[claim]);
  return length == 0 ? null : Json.of(Bytes.at(unchecked(starts[claim]), length));
}

function find(): void {
  found = true;
  memory.fill(changetype<usize>(lengths), 0, MAX_CLAIMS * sizeof<i32>());
  if (claims.length == 0) return;
  const j = Json.of(claims);
  j.object();
  while (j.nextKey()) {
    const key = j.key, value = j.raw();
    for (let i = 0; i < names.length; i++) {
      if (unchecked(names[i]).length != key.length || !unchecked(names[i]).equals(key)) continue;
      unchecked((starts[i] = value.ptr));
      unchecked((lengths[i] = value.length));
      break;
    }
  }
  if (!j.done) unreadable = true;
}

/** Whether a claim has one of the values, or, as a list, an element that has. */
export function claimHas(claim: i32, values: Array<Wanted>): bool {
  const j = valueOf(claim);
  if (j == null) return false;
  if (j.peek() != 0x5b) return isOneOf(j, values);
  j.array();
  while (j.nextItem()) {
    if (isOneOf(j, values)) return true;
  }
  if (j.bad) unreadable = true;
  return false;
}

function isOneOf(j: Json, values: Array<Wanted>): bool {
  const text = j.peek() == 0x22;
  const value = text ? j.bytes() : j.raw();
  if (j.bad) {
    unreadable = true;
    return false;
  }
  for (let i = 0; i < values.length; i++) {
    const w = unchecked(values[i]);
    if (w.text == text && w.value.equals(value)) return true;
  }
  return false;
}

// The texts that claims can stand for in a pattern, of the event at hand.
const MAX_TEXTS = 1024;
const texts = new StaticArray<usize>(MAX_TEXTS); // Bytes
let textCount = 0;

/** Forgets the texts of the pattern before. */
export function beginTexts(): void {
  textCount = 0;
}

/** Collects what a claim stands for in a pattern: itself if it is a string, or the strings of a list. Returns where; firstText to textEnd. */
export function collectTexts(claim: i32): bool {
  const j = valueOf(claim);
  if (j == null) return true;
  if (j.peek() == 0x22) {
    const value = j.bytes();
    unreadable = unreadable || j.bad;
    return add(value);
  }
  if (j.peek() != 0x5b) return true;
  j.array();
  while (j.nextItem()) {
    if (j.peek() != 0x22) j.raw();
    else if (!add(j.bytes())) return false;
  }
  unreadable = unreadable || j.bad;
  return true;
}

/** Keeps a text that a name can have in it: an empty one stands for nothing, a longer one is in no name. */
function add(text: Bytes): bool {
  if (text.length == 0 || text.length > 255) return true;
  if (textCount == MAX_TEXTS) return false;
  unchecked((texts[textCount++] = changetype<usize>(text)));
  return true;
}

export function textEnd(): i32 {
  return textCount;
}
export function textAt(i: i32): Bytes {
  return changetype<Bytes>(unchecked(texts[i]));
}

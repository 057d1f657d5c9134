import { Bytes, Code, Event, Json, Text, text } from "../../../sdk/assemblyscript/assembly";
import { Wanted, numberOf } from "./claims";
import { Pattern, parsePattern, patternError } from "./pattern";
import { Action, Condition, Policy, Rule } from "./rules";

const MAX_RULES = 256;
const MAX_LIST = 256;
const DEFAULT_REASON = "this is not allowed here";

// Of the configuration being read.
let event!: Event;
let rule: i32 = -1; // -1: outside the rules
let codes: bool = false; // whether the rule at hand has a code or a reason

/** Reads the configuration; null: it is refused, and the event has the reason. */
export function readPolicy(e: Event): Policy | null {
  event = e;
  rule = -1;
  const policy = new Policy(), j = Json.of(e.payload);
  policy.code = Code.Forbidden;
  policy.reason = Bytes.of(DEFAULT_REASON);
  let hasRules = false;
  if (!j.object()) return refuse("the configuration has to be an object");
  while (j.nextKey()) {
    const key = j.key;
    if (key.equals("rules")) {
      hasRules = true;
      if (!readRules(j, policy)) return null;
    } else if (key.equals("default")) {
      const word = j.bytes();
      if (!word.equals("allow") && !word.equals("deny")) return refuse("default has to be allow or deny");
      policy.allow = word.equals("allow");
    } else if (key.equals("code")) {
      policy.code = readCode(j);
      if (policy.code == 0) return null;
    } else if (key.equals("reason")) {
      const reason = readReason(j);
      if (reason == null) return null;
      policy.reason = reason;
    } else return refuseKey(key, "there are rules, default, code and reason");
  }
  if (!j.done) return refuse("the configuration is not valid JSON");
  if (!hasRules) return refuse("rules is missing: name at least one rule");
  policy.reason = policy.reason.keep();
  for (let i = 0; i < policy.rules.length; i++) inherit(policy.rules[i], policy);
  return policy;
}

/** A rule without a code and a reason of its own has the general ones. */
function inherit(r: Rule, policy: Policy): void {
  if (r.code == 0) r.code = policy.code;
  const own = r.reason;
  r.reason = own == null ? policy.reason : own.keep();
}

function readRules(j: Json, policy: Policy): bool {
  if (j.peek() != 0x5b) return refused("rules has to be a list");
  j.array();
  while (j.nextItem()) {
    if (++rule == MAX_RULES) {
      rule = -1;
      return refused("rules has more than 256 rules");
    }
    const r = readRule(j);
    if (r == null) return false;
    policy.rules.push(r);
  }
  rule = -1;
  return policy.rules.length > 0 || refused("rules is empty: name at least one rule");
}

function readRule(j: Json): Rule | null {
  const r = new Rule();
  let verdicts = 0;
  codes = false;
  if (j.peek() != 0x7b) return stop("has to be an object");
  j.object();
  while (j.nextKey()) {
    const key = j.key;
    if (key.equals("allow") || key.equals("deny")) {
      verdicts++;
      r.allow = key.equals("allow");
      if (!readActions(j, r, r.allow ? "allow" : "deny")) return null;
    } else if (key.equals("rooms")) {
      if (!readPatterns(j, r.rooms, "rooms")) return null;
    } else if (key.equals("targets")) {
      if (!readPatterns(j, r.targets, "targets")) return null;
    } else if (key.equals("when")) {
      if (!readWhen(j, r)) return null;
    } else if (key.equals("code")) {
      codes = true;
      r.code = readCode(j);
      if (r.code == 0) return null;
    } else if (key.equals("reason")) {
      codes = true;
      const reason = readReason(j);
      if (reason == null) return null;
      r.reason = reason;
    } else return stopKey(key, "there are allow, deny, rooms, targets, when, code and reason");
  }
  if (j.bad) return stop("is not valid JSON");
  return checkRule(r, verdicts) ? r : null;
}

function checkRule(r: Rule, verdicts: i32): bool {
  if (verdicts == 0) return refused(" has neither allow nor deny: say what it decides, such as allow: [join, send]");
  if (verdicts > 1) return refused(" has both allow and deny: make two rules of it");
  if (r.allow && codes) return refused(" allows: code and reason are for rules that deny");
  if (r.rooms.length > 0 && !(r.actions & (Action.Join | Action.Send))) return refused(".rooms: only join and send are about a room");
  if (r.targets.length > 0 && !(r.actions & Action.Direct)) return refused(".targets: only direct has a target");
  return true;
}

function readActions(j: Json, r: Rule, key: string): bool {
  if (j.peek() != 0x5b) return refusedAt(key, -1, "has to be a list of join, send, broadcast and direct");
  j.array();
  for (let i = 0; j.nextItem(); i++) {
    const word = j.bytes();
    let action = 0;
    if (word.equals("join")) action = Action.Join;
    else if (word.equals("send")) action = Action.Send;
    else if (word.equals("broadcast")) action = Action.Broadcast;
    else if (word.equals("direct")) action = Action.Direct;
    else return refusedAt(key, i, "has to be join, send, broadcast or direct");
    r.actions |= action;
  }
  return r.actions != 0 || refusedAt(key, -1, "is empty: name join, send, broadcast or direct");
}

function readPatterns(j: Json, out: Array<Pattern>, key: string): bool {
  if (j.peek() != 0x5b) return refusedAt(key, -1, "has to be a list of patterns");
  j.array();
  for (let i = 0; j.nextItem(); i++) {
    if (i == MAX_LIST) return refusedAt(key, -1, "has more than 256 patterns");
    const pattern = parsePattern(j.bytes()); // what is no string reads as the empty one
    if (pattern == null) return refusedAt(key, i, patternError);
    out.push(pattern);
  }
  return out.length > 0 || refusedAt(key, -1, "is empty: leave it out for all");
}

function readWhen(j: Json, r: Rule): bool {
  if (j.peek() != 0x7b) return refusedAt("when", -1, "has to be an object of claims and users");
  j.object();
  while (j.nextKey()) {
    const key = j.key;
    if (key.equals("claims")) {
      if (!readClaims(j, r)) return false;
    } else if (key.equals("users")) {
      if (!readUsers(j, r)) return false;
    } else {
      stopKey(key, "when has claims and users");
      return false;
    }
  }
  return r.claims.length + r.users.length > 0 || refusedAt("when", -1, "is empty: name claims or users, or leave it out");
}

function readUsers(j: Json, r: Rule): bool {
  if (j.peek() != 0x5b) return refusedAt("when.users", -1, "has to be a list of users");
  j.array();
  for (let i = 0; j.nextItem(); i++) {
    const user = j.bytes(255);
    if (j.bad || user.length == 0) return refusedAt("when.users", i, "has to be a user, a string of 1 to 255 bytes");
    if (i == MAX_LIST) return refusedAt("when.users", -1, "has more than 256 users");
    r.users.push(user.keep());
  }
  return r.users.length > 0 || refusedAt("when.users", -1, "is empty: it would fit nobody");
}

function readClaims(j: Json, r: Rule): bool {
  if (j.peek() != 0x7b) return refusedAt("when.claims", -1, "has to be an object of claims and the values that they may have");
  j.object();
  while (j.nextKey()) {
    const claim = numberOf(j.key), values = new Array<Wanted>();
    if (claim < 0) return refusedAt("when.claims", -1, "names one claim too many: a configuration may name 32");
    if (j.peek() != 0x5b) {
      if (!readWanted(j, values)) return refusedClaim(claim);
    } else {
      j.array();
      while (j.nextItem()) {
        if (!readWanted(j, values)) return refusedClaim(claim);
      }
      if (values.length == 0) return refusedClaim(claim);
    }
    r.claims.push(new Condition(claim, values));
  }
  return r.claims.length > 0 || refusedAt("when.claims", -1, "is empty: name a claim, or leave it out");
}

function readWanted(j: Json, values: Array<Wanted>): bool {
  const c = j.peek();
  if (values.length == MAX_LIST) return false;
  if (c == 0x22) values.push(new Wanted(true, j.bytes().keep()));
  else if (c == 0x74 || c == 0x66) values.push(new Wanted(false, Bytes.of(j.boolean() ? "true" : "false").keep()));
  else values.push(new Wanted(false, text().add(j.integer()).bytes.keep()));
  return !j.bad;
}

function refusedClaim(claim: i32): bool {
  return refusedAt("when.claims", -1, "has a claim whose value is not a string, a whole number of up to 15 digits, true or false, or a list of 1 to 256 of these");
}

/** A code of a denial; 0: it is refused. */
function readCode(j: Json): u32 {
  const code = <u32>j.integer();
  const known = code == 400 || code == 401 || code == 403 || code == 404 || code == 409 || code == 413 || code == 422 || code == 429 || code == 503;
  if (!j.bad && (known || (code >= 1000 && code <= 3999))) return code;
  refusedAt("code", -1, "has to be 400, 401, 403, 404, 409, 413, 422, 429, 503, or 1000 to 3999");
  return 0;
}

function readReason(j: Json): Bytes | null {
  const reason = j.bytes(512);
  if (!j.bad && reason.length > 0) return reason;
  refusedAt("reason", -1, "has to be a string of 1 to 512 bytes");
  return null;
}

// ---- Refusing, with the place in the configuration ----

/** Begins a reason with the place: rules[3].rooms[1] */
function place(key: string, index: i32): Text {
  const t = text();
  if (rule >= 0) t.add("rules[").add(rule).add("]").add(key.length > 0 ? "." : "");
  t.add(key);
  if (index >= 0) t.add("[").add(index).add("]");
  return t;
}
function refusedAt(key: string, index: i32, what: string): bool {
  event.deny(Code.Invalid, place(key, index).add(" ").add(what));
  return false;
}
/** what follows the rule's own name at once. */
function refused(what: string): bool {
  event.deny(Code.Invalid, rule >= 0 ? place("", -1).add(what) : text().add(what));
  return false;
}
function refuse(what: string): Policy | null {
  refused(what);
  return null;
}
function stop(what: string): Rule | null {
  refusedAt("", -1, what);
  return null;
}
function unknown(key: Bytes, known: string): void {
  const t = text();
  if (rule >= 0) t.add("rules[").add(rule).add("]: ");
  event.deny(Code.Invalid, t.add("unknown key ").quote(key.slice(0, whole(key, 64))).add(": ").add(known));
}
function stopKey(key: Bytes, known: string): Rule | null {
  unknown(key, known);
  return null;
}
function refuseKey(key: Bytes, known: string): Policy | null {
  unknown(key, known);
  return null;
}
/** At most so many bytes, and no part of a character. */
function whole(b: Bytes, most: i32): i32 {
  if (b.length <= most) return b.length;
  while (most > 0 && (b[most] & 0xc0) == 0x80) most--;
  return most;
}

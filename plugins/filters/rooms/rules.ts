import { Bytes, Event } from "../../../sdk/assemblyscript/assembly";
import { Wanted, claimHas } from "./claims";
import { Pattern, matches } from "./pattern";

/** What users do, as bits. */
export enum Action {
  Join = 1,
  Send = 2,
  Broadcast = 4,
  Direct = 8,
}

/** A claim and the values of which it has to have one. */
export class Condition {
  constructor(public claim: i32, public values: Array<Wanted>) {}
}

export class Rule {
  /** Bits of Action. */
  actions: u32 = 0;
  allow: bool = false;
  /** Of a denial; once the configuration has been read, both are set. */
  code: u32 = 0;
  reason: Bytes | null = null;
  /** Of which one has to match; none: all rooms. */
  rooms: Array<Pattern> = [];
  /** The same for receivers of direct messages. */
  targets: Array<Pattern> = [];
  /** Of which the user has to be one; none: anyone. */
  users: Array<Bytes> = [];
  /** All of which have to hold. */
  claims: Array<Condition> = [];
}

export class Policy {
  rules: Array<Rule> = [];
  allow: bool = false;
  code: u32 = 0;
  reason!: Bytes;
}

/** Whether a rule that is about the action fits the event: 1 or 0; below 0: that is too much work to tell. */
export function fits(rule: Rule, e: Event, action: Action): i32 {
  if (rule.users.length > 0 && !isOneOf(e.user, rule.users)) return 0;
  for (let i = 0; i < rule.claims.length; i++) {
    const c = unchecked(rule.claims[i]);
    if (!claimHas(c.claim, c.values)) return 0;
  }
  // A rule about other actions as well has rooms for joining and sending, and
  // targets for direct messages.
  if (action == Action.Join || action == Action.Send) return anyMatches(rule.rooms, e.room, e.user);
  if (action == Action.Direct) return anyMatches(rule.targets, e.target, e.user);
  return 1;
}

function isOneOf(user: Bytes, users: Array<Bytes>): bool {
  for (let i = 0; i < users.length; i++) {
    if (user.equals(unchecked(users[i]))) return true;
  }
  return false;
}

function anyMatches(patterns: Array<Pattern>, name: Bytes, user: Bytes): i32 {
  if (patterns.length == 0) return 1;
  for (let i = 0; i < patterns.length; i++) {
    const fit = matches(unchecked(patterns[i]), name, user);
    if (fit != 0) return fit;
  }
  return 0;
}

// rooms: who may join which rooms and send where, by room pattern and claim.
//
// Configuration: see README.md. The first rule that fits an event decides; where
// none does, the default.
import { Event, Kind, Verdict } from "../../../sdk/assemblyscript/assembly";
import { beginClaims, claimsUnreadable } from "./claims";
import { readPolicy } from "./config";
import { Action, Policy, Rule, fits } from "./rules";
export { sluice_abi_v1, sluice_buffer } from "../../../sdk/assemblyscript/assembly";

let policy!: Policy;

export function on_configure(e: Event): Verdict {
  const read = readPolicy(e);
  if (read == null) return Verdict.Deny; // and readPolicy has said why
  policy = read;
  return Verdict.Continue;
}

export function on_join(e: Event): Verdict {
  return judge(e, Action.Join);
}

export function on_message(e: Event): Verdict {
  if (e.fromServer) return Verdict.Continue; // the rules are about users
  if (e.kind == Kind.Room) return judge(e, Action.Send);
  return judge(e, e.kind == Kind.Broadcast ? Action.Broadcast : Action.Direct);
}

function judge(e: Event, action: Action): Verdict {
  beginClaims(e.claims);
  const rules = policy.rules;
  for (let i = 0; i < rules.length; i++) {
    const rule = unchecked(rules[i]);
    if (!(rule.actions & action)) continue;
    const fit = fits(rule, e, action);
    if (fit < 0) return Verdict.Fail;
    if (claimsUnreadable()) return e.deny(policy.code, policy.reason);
    if (fit > 0) return decide(e, rule);
  }
  return policy.allow ? Verdict.Continue : e.deny(policy.code, policy.reason);
}

function decide(e: Event, rule: Rule): Verdict {
  if (rule.allow) return Verdict.Continue;
  return e.deny(rule.code, rule.reason!);
}

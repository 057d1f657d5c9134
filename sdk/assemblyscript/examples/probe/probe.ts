// probe: tells all that it sees of an event, and answers in every way there is.
// The other SDKs have the same filter.
import {
  Bytes, Code, Event, Kind, Level, Lookup, Text, Verdict, bucketTake, counterAdd, fillRandom, kvGet, kvSet, log, metricAdd, now, text,
} from "../../assembly";
export { sluice_abi_v1, sluice_buffer } from "../../assembly";

export function sluice_state_version(): i32 {
  return 7;
}

function orNothing(b: Bytes | null): Bytes {
  return b == null ? Bytes.of("") : b;
}

export function on_connect(e: Event): Verdict {
  const user = e.kind == Kind.Refresh ? e.payload : e.header("x-user");
  if (user == null) return e.denyFor(Code.Unauthorized, 1500, "who are you?");
  e.setUser(user);
  e.setGrants('[{"rooms":"chat:*","allow":["join","send"]},{"allow":["direct"]}]');
  e.setExpiresMs(e.timeNs / 1000000 + 60000);
  e.setClaims(text().add('{"path":').quote(orNothing(e.attribute("path"))).add(',"cookie":').quote(orNothing(e.cookie("s")))
    .add(',"remote":').quote(e.remote).add("}"));
  e.setInfo(text().quote(orNothing(e.query("name"))));
  return Verdict.Continue;
}

export function on_join(e: Event): Verdict {
  if (e.room.equals("closed")) return e.deny(Code.Forbidden, "closed");
  return Verdict.Continue;
}

function tell(e: Event): Text {
  return text().add("[").add(<i32>e.hook).add(",").add(<i32>e.kind).add(",").add(e.flags).add(",").add(e.timeNs).add(",").add(e.conn).add(",").add(e.seq)
    .add(",").add(e.payload).add(",").quote(e.room).add(",").quote(e.user).add(",").quote(e.target).add(",").add(e.claims).add(",").quote(e.state)
    .add(",").add(e.stateVersion).add(",").quote(e.remote).add(",").add(e.expiresMs).add("]");
}

function randomAnswer(e: Event): Verdict {
  const bytes = Bytes.alloc(16);
  if (fillRandom(bytes) != 0) return Verdict.Fail;
  let set = 0;
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] != 0) set++;
  }
  return e.rewrite(text().add(set));
}

/** The commands that ask the host for something; null: it is none of them. */
function asked(e: Event): Text | null {
  const p = e.payload;
  if (p.equals('"now"')) return text().add(now());
  if (p.equals('"counter"')) return text().add(counterAdd("c", 1, 60000));
  if (p.equals('"bucket"')) return text().add(bucketTake("b", 1, 2, 1));
  if (p.equals('"metric"')) return text().add(metricAdd("probed", 2));
  if (p.equals('"set"')) return text().add(kvSet("k", "v"));
  if (p.equals('"get"')) {
    const v = kvGet("k");
    return v == null ? text().add("null") : text().quote(v);
  }
  if (p.equals('"lookup"')) {
    const t = text().add("[").add(<i32>e.lookupStatus).add(",");
    return (e.lookupStatus == Lookup.Found ? t.add(e.lookup) : t.add("null")).add("]");
  }
  return null;
}

export function on_message(e: Event): Verdict {
  const p = e.payload;
  e.setState("kept");
  if (p.equals('"allow"')) return Verdict.Allow;
  if (p.equals('"deny"')) return e.deny(1234, "no");
  if (p.equals('"drop"')) return Verdict.Drop;
  if (p.equals('"close"')) return e.disconnect(4003, "bye");
  if (p.equals('"fail"')) return Verdict.Fail;
  if (p.equals('"reroute"')) return e.reroute("other");
  if (p.equals('"forget"')) {
    e.clearState();
    return Verdict.Continue;
  }
  if (p.equals('"random"')) return randomAnswer(e);
  const answer = asked(e);
  return e.rewrite(answer == null ? tell(e) : answer);
}

function logEnd(e: Event, what: string): Verdict {
  log(Level.Warn, text().add(what).add(" ").add(e.room).add(",").add(e.cause));
  return Verdict.Continue;
}

export function on_leave(e: Event): Verdict {
  return logEnd(e, "left");
}

export function on_disconnect(e: Event): Verdict {
  return logEnd(e, "gone");
}

// exercise: does what a message asks for with the package's functions, so that a
// test can hold the results against another implementation. The message is an
// array: the name of a function and its arguments.
import { Bytes, Code, Event, Json, Text, Verdict, patternFault, patternIsDeep, patternMatches, text } from "../assembly";
export { sluice_abi_v1, sluice_buffer } from "../assembly";

export function on_message(e: Event): Verdict {
  const j = Json.of(e.payload);
  j.array();
  j.nextItem();
  const what = j.bytes();
  j.nextItem();
  const answer = what.equals("copy") ? copied(j) : what.equals("match") ? matched(j) : compared(j, what);
  if (answer == null) return Verdict.Fail;
  return e.rewrite(answer);
}

/** Reads a document that is inside a string, and writes what it has read. */
function copied(j: Json): Text {
  const document = Json.of(j.bytes()), out = text();
  copy(document, out);
  return document.done ? out : text().add('"bad"');
}

function copy(j: Json, out: Text): void {
  const c = j.peek();
  let n = 0;
  if (c == 0x7b) {
    out.add("{");
    for (j.object(); j.nextKey(); ) {
      out.add(n++ > 0 ? "," : "").quote(j.key).add(":");
      copy(j, out);
    }
    out.add("}");
  } else if (c == 0x5b) {
    out.add("[");
    for (j.array(); j.nextItem(); ) {
      out.add(n++ > 0 ? "," : "");
      copy(j, out);
    }
    out.add("]");
  } else if (c == 0x22) out.quote(j.bytes());
  else if (c == 0x74 || c == 0x66) out.add(j.boolean());
  else if (c == 0x6e) out.add(j.isNull() ? "null" : "");
  else out.add(j.integer());
}

function matched(j: Json): Text {
  const pattern = j.bytes();
  j.nextItem();
  const name = j.bytes(), fault = patternFault(pattern);
  if (fault != null) return text().quote(fault);
  return text().add("[").add(patternMatches(pattern, name)).add(",").add(patternIsDeep(pattern)).add("]");
}

/** What Bytes say of each other: [equal, starts, ends, where, after]. */
function compared(j: Json, what: Bytes): Text | null {
  const a = j.bytes();
  j.nextItem();
  const b = j.bytes(), s = b.toString();
  if (j.bad) return null;
  if (what.equals("bytes")) {
    return text().add("[").add(a.equals(b)).add(",").add(a.startsWith(b)).add(",").add(a.endsWith(b)).add(",").add(a.indexOf(b)).add(",").add(a.indexOf(b, 2)).add("]");
  }
  if (what.equals("string")) {
    return text().add("[").add(a.equals(s)).add(",").add(a.startsWith(s)).add(",").add(a.endsWith(s)).add(",").add(a.indexOf(s)).add(",").add(a.indexOf(s, 2)).add("]");
  }
  if (what.equals("managed")) return text().quote(Bytes.of(a.toUint8Array())).add(" ").quote(String.UTF8.encode(s)).add(" ").quote(s);
  return null;
}

export function on_join(e: Event): Verdict {
  const room = e.room;
  if (room.equals("get")) return e.deny(Code.Invalid, text().add(room[3]));
  if (room.equals("read")) return e.deny(Code.Invalid, text().add(room.read<u32>(1)));
  if (room.equals("meta")) return e.deny(Code.Invalid, e.meta(0).name);
  if (room.equals("long")) return e.deny(Code.Invalid, Bytes.alloc(513));
  if (room.equals("numbers")) {
    return e.deny(Code.Invalid, text().add(i64.MIN_VALUE).add(" ").add(u64.MAX_VALUE).add(" ").add(<i8>-7).add(" ").add(<u8>200).add(" ").add(true).add(" ").add(1.5).add(" ").add(0));
  }
  const s = room.slice(2, -1).length + room.slice(-5, 2).length * 10 + room.slice(1).length * 100 + room.slice(9, 99).length * 1000;
  return e.deny(Code.Invalid, text().add(s));
}

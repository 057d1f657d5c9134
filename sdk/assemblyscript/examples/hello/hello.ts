// hello: refuses a word, and numbers the messages of each connection.
//
// Configuration: {"word": "..."}, up to 63 bytes.
import { Bytes, Code, Event, Json, Level, Verdict, log, text } from "../../assembly";
export { sluice_abi_v1, sluice_buffer } from "../../assembly";

let word!: Bytes;

export function on_configure(e: Event): Verdict {
  const j = Json.of(e.payload);
  let found: Bytes | null = null;
  if (!j.object()) return e.deny(Code.Invalid, "the configuration has to be an object");
  while (j.nextKey()) {
    if (!j.key.equals("word")) return e.deny(Code.Invalid, "unknown key: only word is known");
    found = j.bytes(63);
    if (j.bad) return e.deny(Code.Invalid, "word has to be a string of up to 63 bytes");
  }
  if (!j.done) return e.deny(Code.Invalid, "unknown key: only word is known");
  if (found == null || found.length == 0) return e.deny(Code.Invalid, "word is missing");
  word = found.keep(); // the payload itself is gone when this returns
  return Verdict.Continue;
}

export function on_message(e: Event): Verdict {
  const content = e.payload;
  if (content.includes(word)) {
    log(Level.Info, "refused a message");
    return e.deny(Code.Invalid, "that word is not welcome here");
  }
  const count = Bytes.alloc(4);
  if (e.state.length == 4) count.write<u32>(0, e.state.read<u32>());
  const n = count.read<u32>() + 1;
  count.write<u32>(0, n);
  e.setState(count);

  if (content.length > 8160) return e.deny(Code.TooLarge, "too long to be stamped");
  return e.rewrite(text(content.length + 32).add('{"n":').add(n).add(',"content":').add(content).add("}"));
}

// garbage: makes strings, arrays and objects for every message, and keeps some,
// as who does not think of memory would write it.
import { Event, Level, Verdict, log } from "../assembly";
export { sluice_abi_v1, sluice_buffer } from "../assembly";

class Seen {
  constructor(public text: string, public times: i32) {}
}
const seen = new Map<string, Seen>();
let last: string = "";

export function on_message(e: Event): Verdict {
  const content = e.payload.toString();
  const words = content.split(" ");
  let longest = "";
  for (let i = 0; i < words.length; i++) {
    if (words[i].length > longest.length) longest = words[i].replaceAll('"', "");
  }
  const key = "key" + (e.seq % 50).toString();
  if (!seen.has(key)) seen.set(key, new Seen(key, 0));
  const s = seen.get(key);
  s.times++;
  if (s.text != key) return Verdict.Fail; // it was taken back although it is kept
  const before = last;
  last = "after " + longest;
  return e.rewrite('{"longest":"' + longest + '","before":"' + before + '"}');
}

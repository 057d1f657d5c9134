// Unit tests of hello: its hooks, called from Node. `npm test` builds first.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Filter, Refused } from "../../testing.mjs";

const load = (config = { word: "spam" }) => Filter.load(process.env.FILTER_WASM ?? "build/debug.wasm", { config });

test("the word is refused, and logged", async () => {
  const filter = await load();
  const answer = filter.message("buy spam now");
  assert.equal(answer.verdict, "deny");
  assert.equal(answer.code, 422);
  assert.equal(answer.reason, "that word is not welcome here");
  assert.deepEqual(filter.logged, [["info", "refused a message"]]);
});

test("other content is stamped, and each connection counted by itself", async () => {
  const filter = await load();
  assert.equal(filter.message("hi").payload, '{"n":1,"content":"hi"}');
  assert.equal(filter.message({ a: [1] }).payload, '{"n":2,"content":{"a":[1]}}');
  assert.equal(filter.message("hi", { conn: 2 }).payload, '{"n":1,"content":"hi"}');
});

test("what does not fit into a stamp is refused", async () => {
  const filter = await load();
  assert.equal(filter.message("x".repeat(8158)).verdict, "continue");
  assert.equal(filter.message("x".repeat(8159)).code, 413);
});

test("a configuration that is none is refused with a reason", async () => {
  for (const [config, reason] of [
    [[], "the configuration has to be an object"],
    [{ wrod: "spam" }, "unknown key: only word is known"],
    [{ word: 7 }, "word has to be a string of up to 63 bytes"],
    [{ word: "x".repeat(64) }, "word has to be a string of up to 63 bytes"],
    [{}, "word is missing"],
  ]) {
    await assert.rejects(load(config), (error) => error instanceof Refused && error.message === reason);
  }
});

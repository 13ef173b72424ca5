import assert from "node:assert/strict";
import { Graph, type Value } from "../../../engine/graph.ts";
import { lifeSpans } from "../../../engine/plan/liveness.ts";
import type { Dispatch } from "../../../engine/plan/records.ts";
import { Rematerializer } from "../../../engine/plan/rematerialize.ts";
import { dispatch } from "./chain.ts";

/** Forward and backward of a chain: each backward step reads the forward value of its level. */
function trainingChain(levels: number) {
  const graph = new Graph();
  const value = (name: string) => graph.input(name, [1024]);
  const forward = Array.from({ length: levels + 1 }, (_, k) => value(`h${k}`));
  const backward = Array.from({ length: levels + 1 }, (_, k) => value(`d${k}`));
  const dispatches: Dispatch[] = [];
  for (let k = 0; k < levels; k++) dispatches.push(dispatch([forward[k]!], [forward[k + 1]!]));
  dispatches.push(dispatch([forward[levels]!], [backward[levels]!]));
  for (let k = levels; k > 0; k--) dispatches.push(dispatch([backward[k]!, forward[k]!], [backward[k - 1]!]));
  return { dispatches, result: backward[0]! };
}

/** Most values that live at one time. */
function peakOf(dispatches: readonly Dispatch[]): number {
  const { made, last } = lifeSpans(dispatches);
  const during = dispatches.map((_, k) =>
    [...made].filter(([value, from]) => from <= k && k <= last.get(value)!).length
  );
  return Math.max(...during);
}

/** Every value that a dispatch reads was written before, or is given. */
function check(dispatches: readonly Dispatch[], given: ReadonlySet<Value>) {
  const there = new Set(given);
  for (const { reads, writes } of dispatches) {
    for (const value of reads) assert.ok(there.has(value));
    for (const value of writes) there.add(value);
  }
}

Deno.test("Rematerializer repeats dispatches until fewer values live at one time", () => {
  const { dispatches, result } = trainingChain(24);
  const search = new Rematerializer(dispatches, new Set([result]));
  const given = new Set(dispatches[0]!.reads);
  const before = peakOf(dispatches);
  let least = before;
  for (let found = search.reduce(); found; found = search.reduce()) {
    check(found, given);
    assert.ok(found.length > dispatches.length);
    assert.ok(peakOf(found) < least);
    assert.ok(found.at(-1)!.writes.includes(result));
    least = peakOf(found);
  }
  assert.ok(least <= 0.6 * before, `${least} of ${before} values`);
});

Deno.test("Rematerializer finds nothing where every value is needed at once, and where there is nothing", () => {
  const { dispatches, result } = trainingChain(1);
  assert.equal(new Rematerializer(dispatches, new Set([result])).reduce(), null);
  assert.equal(new Rematerializer([], new Set()).reduce(), null);
});

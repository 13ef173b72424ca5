import assert from "node:assert/strict";
import { share, workerCount, WorkerPool } from "../../engine/worker_pool.ts";

const module = new URL("echo_worker.ts", import.meta.url);
type Call = { ms: number; fail?: "range" | "missing" };
type Reply = { values: Float32Array; first: number };

Deno.test("workers answer each call with its own result, in whatever order they end", async () => {
  const bytes = share(Uint8Array.of(1));
  using pool = new WorkerPool<Call, Reply>(module, { factor: 2, bytes }, 2);
  const first = await pool.call({ ms: 0 });
  assert.deepEqual(first, { values: Float32Array.of(0), first: 1 });
  bytes[0] = 7; // the memory is theirs, too
  const all = await Promise.all([30, 1, 20, 2].map((ms) => pool.call({ ms })));
  assert.deepEqual(all.map(({ values, first }) => [values[0], first]), [[60, 7], [2, 7], [40, 7], [4, 7]]);
});

Deno.test("an error in a worker arrives with its class and message, and the worker goes on", async () => {
  using pool = new WorkerPool<Call, Reply>(module, { factor: 1, bytes: share(Uint8Array.of(1)) }, 1);
  await assert.rejects(pool.call({ ms: 1, fail: "range" }), (error) => {
    assert(error instanceof RangeError && error.message === "Cannot wait 1");
    return /echo_worker\.ts/.test(error.stack!);
  });
  await assert.rejects(pool.call({ ms: 1, fail: "missing" }), Deno.errors.NotFound);
  assert.equal((await pool.call({ ms: 3 })).values[0], 3);
});

Deno.test("a worker that cannot start fails all calls", async () => {
  using pool = new WorkerPool<Call, Reply>(module, { factor: 0 }, 2);
  const message = /^Error: A worker failed: .*Cannot multiply by 0/;
  const calls = await Promise.allSettled([pool.call({ ms: 1 }), pool.call({ ms: 1 })]);
  for (const call of calls) assert.match(String((call as PromiseRejectedResult).reason), message);
  await assert.rejects(pool.call({ ms: 1 }), message);
});

Deno.test("workers end whatever they are doing", () => {
  const pool = new WorkerPool<Call, Reply>(module, { factor: 1, bytes: Uint8Array.of(1) }, 2);
  pool.call({ ms: 1e9 });
  pool[Symbol.dispose](); // that nothing is left is what the test runner sees to
  const count = workerCount();
  assert.ok(count >= 1 && count <= 16, `${count}`);
});

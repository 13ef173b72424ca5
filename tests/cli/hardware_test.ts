import assert from "node:assert/strict";
import { hardwarePage, stepsOf, take, testCounts } from "../../cli/hardware.ts";
import { runCommand } from "./run_command.ts";

Deno.test("hardware counts tests by the last line of deno test", () => {
  assert.deepEqual(
    testCounts(["ok | 3 passed | 0 failed (1s)", "FAILED | 58 passed (4 steps) | 2 failed | 1 ignored (15s)"]),
    {
      passed: 58,
      failed: 2,
    },
  );
});

Deno.test("a step of hardware that takes too long is unfinished, one that fails is failed", async () => {
  const step = { name: "one", args: ["eval", "await new Promise((r) => setTimeout(r, 60000))"], seconds: 0.3 };
  assert.equal((await take(step, undefined)).status, "unfinished");
  const failed = await take({ ...step, args: ["eval", "console.log('why'); Deno.exit(1)"], seconds: 60 }, undefined);
  assert.deepEqual([failed.status, failed.output], ["failed", ["why"]]);
});

Deno.test("every step of hardware is a direct child process, so that it ends when its time is up", () => {
  for (const { name, args } of stepsOf("runs/hardware")) assert.notEqual(args[0], "task", name);
});

Deno.test("the page of hardware has steps, cases and losses beside the recorded ones", () => {
  const page = hardwarePage({
    device: "A GPU",
    deno: "2.9.6",
    date: "2026-01-02",
    steps: [
      { step: "ops", status: "passed", seconds: 61.2, figures: { passed: 300, failed: 0 } },
      {
        step: "bench",
        status: "passed",
        seconds: 9,
        figures: { cases: [{ case: "silu:x", ms: 1, share: 0.5, dispatches: 1 }] },
      },
      {
        step: "training",
        status: "failed",
        seconds: 8,
        figures: { losses: { 10: 1.5 }, recorded: { adapter: "llvmpipe", losses: { 10: 1.25 } } },
      },
    ],
  });
  assert.match(page, /^### A GPU\n/);
  assert.match(page, /\| ops +\| passed, 300 tests passed, 0 failed \| 61 s \|/);
  assert.match(page, /\| silu:x \| 1\.00 \| 50 % \| - \|/);
  assert.match(page, /\| step 10 \| 1\.5000 \| 1\.2500 \|/);
});

Deno.test("hardware refuses a step that is not there", async () => {
  const { code, notes } = await runCommand(["hardware", "--only", "docter"]);
  assert.equal(code, 2);
  assert.match(notes, /^Cannot take step "docter" as there is no such step, hint: steps are doctor, ops, textures/);
});

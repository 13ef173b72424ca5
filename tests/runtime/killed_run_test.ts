import assert from "node:assert/strict";
import { join } from "node:path";
import { readLog, readRun } from "../../runtime/run/status.ts";
import { bench, spawn } from "./run_pipeline.ts";

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

for (const jobs of [1, 2]) {
  Deno.test(`a killed process leaves nothing half-written, and Ctrl-C and SIGTERM exit with 130, with jobs ${jobs}`, async () => {
    using b = bench();
    // It waits in its second step until it is told to go on.
    const go = join(b.dir, "go");
    const slow = ["stages.first.with.wait_at=2", `stages.first.with.wait_for=${go}`, `jobs=${jobs}`];
    for (const [signal, code] of [["SIGKILL", 137], ["SIGINT", 130], ["SIGTERM", 130]] as const) {
      const child = spawn(b, "run", ...slow);
      const reader = child.stdout.getReader();
      let printed = "";
      while (!printed.includes("first (fake/train)")) printed += new TextDecoder().decode((await reader.read()).value);
      reader.releaseLock();
      child.kill(signal);
      const { code: ended, stderr } = await child.output();
      assert.equal(ended, code, new TextDecoder().decode(stderr));
      const { status, stages } = readRun(join(b.root, "test"))!;
      const told = signal === "SIGKILL" ? "killed" : "interrupted";
      assert.deepEqual([status, stages.find(({ stage }) => stage === "first")!.status], [told, told]);
      await assert.rejects(Deno.stat(join(b.root, "test/first")), Deno.errors.NotFound);
    }
    // The second Ctrl-C does not wait for the step.
    const stuck = spawn(b, "run", "stages.first.with.sleep_ms=100000", `jobs=${jobs}`);
    const reader = stuck.stderr.getReader();
    while (readLog(join(b.root, "test")).at(-1)!.event !== "progress") await sleep(20);
    stuck.kill("SIGINT");
    await reader.read();
    reader.releaseLock();
    stuck.kill("SIGINT");
    assert.equal((await stuck.output()).code, 130);

    Deno.writeTextFileSync(go, "");
    const { code, stdout } = await spawn(b, "run", ...slow).output();
    assert.equal(code, 0);
    assert.match(new TextDecoder().decode(stdout), /\[2\/5\] faces: up to date\n[^]*\nstage +detector[^]*summary: /);
    assert.equal(b.at("first/metrics.jsonl").trim().split("\n").length, 4);
  });
}

/** How often a run is killed; `deno task torture` does it more often. */
const kills = Number(/^--kills=(\d+)$/.exec(Deno.args[0] ?? "")?.[1] ?? 20);
const steps = 2 * kills;

Deno.test("a run killed at any moments ends with the same bytes as one that was not", async () => {
  using killed = bench();
  using whole = bench();
  const sets = ["first", "second"].flatMap((
    id,
  ) => [`stages.${id}.with.steps=${steps}`, `stages.${id}.with.sleep_ms=5`]);
  await whole.run(sets);
  sets.push("jobs=2");
  const moments = Array.from({ length: kills }, () => Math.round(50 + 600 * Math.random()));
  for (const ms of moments) {
    const child = spawn(killed, "run", ...sets);
    await sleep(ms);
    try {
      child.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it had ended
    }
    await child.output();
  }
  const { code, stderr } = await spawn(killed, "run", ...sets).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  for (
    const path of [
      "faces/lines.txt",
      "first/metrics.jsonl",
      "first/model.txt",
      "second/metrics.jsonl",
      "report/all.txt",
    ]
  ) {
    assert.equal(killed.at(path), whole.at(path), `${path}, killed after ${moments} ms`);
  }
  const names = [...Deno.readDirSync(join(killed.root, "test"))].map(({ name }) => name);
  assert.deepEqual(names.filter((name) => /\.(tmp|old)$/.test(name)), []);
});

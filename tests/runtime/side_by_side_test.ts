import assert from "node:assert/strict";
import { join } from "node:path";
import { StageError } from "../../runtime/run/run.ts";
import type { Adapter } from "../../engine/adapters.ts";
import type { Device } from "../../engine/device.ts";
import type { RunEvent } from "../../runtime/run/progress.ts";
import { readRun } from "../../runtime/run/status.ts";
import { ran } from "./fake_stages.ts";
import { bench } from "./run_pipeline.ts";

const thread = new URL("fake_stage_thread.ts", import.meta.url);

Deno.test("stages that need nothing of each other go on side by side, as many as jobs allows", async () => {
  const watched = async (jobs: number) => {
    // Each waits half-way until as many as should go on side by side are there.
    using b = bench();
    const go = (id: string) => join(b.dir, `go_${id}`);
    const train = (id: string) =>
      `{ uses: fake/train, in: { data: faces }, with: { steps: 4, wait_at: 2, wait_for: ${go(id)} } }`;
    Deno.writeTextFileSync(
      b.file,
      `
name: test
jobs: ${jobs}
stages:
  faces: { uses: fake/draw, with: { count: 2 } }
  left: ${train("left")}
  right: ${train("right")}
  report: { uses: fake/collect, in: { all: [left, right] } }
`,
    );
    const going = new Set<string>();
    const seen: string[] = [], waiting: string[] = [];
    let most = 0;
    const reporter = {
      event(event: RunEvent) {
        if (event.event === "stage") going.add(event.stage);
        if (event.event === "done") going.delete(event.stage);
        most = Math.max(most, going.size);
        if (event.event !== "progress" || event.done !== 2) return;
        if (waiting.push(event.stage) < jobs) return;
        const running = readRun(join(b.root, "test"))!.stages.filter(({ status }) => status === "running");
        seen.push(running.map(({ stage }) => stage).join(" "));
        for (const stage of waiting.splice(0)) Deno.writeTextFileSync(go(stage), "");
      },
    };
    const { stages, results } = await b.run([], { reporter, thread });
    assert.deepEqual(Object.values(stages).map(({ status }) => status), ["done", "done", "done", "done"]);
    assert.equal(results.length, 1);
    const files = ["left/model.txt", "right/metrics.jsonl", "report/all.txt"].map(b.at);
    await b.run([], { thread });
    assert.deepEqual(ran, []);
    return { most, seen, files: files.map((text) => text.replaceAll(b.dir, "")) };
  };
  const [alone, both] = [await watched(1), await watched(2)];
  assert.deepEqual([alone.most, alone.seen], [1, ["left", "right"]]);
  assert.deepEqual([both.most, both.seen], [2, ["left right"]]);
  assert.deepEqual(both.files, alone.files);
});

/** Two stages that wait for each other with their threads held up: they end only if each has its own. */
function meeting(left: string, right: string) {
  const b = bench();
  const place = join(b.dir, "place");
  Deno.mkdirSync(place);
  const meet = (then: string) => `{ uses: fake/meet, in: { data: faces }, with: { place: ${place}, then: ${then} } }`;
  const faces = "{ uses: fake/draw, with: { count: 2 } }";
  Deno.writeTextFileSync(
    b.file,
    `name: test\njobs: 2\nstages: { faces: ${faces}, left: ${meet(left)}, right: ${meet(right)} }\n`,
  );
  return b;
}

Deno.test("stages side by side have a thread and a device each, opened like one that is opened before", async () => {
  using b = meeting("device", "device");
  const events: string[] = [];
  const like = { storage: "texture", tiled: false, staged: true } as const;
  const openDevice = () => {
    events.push("open");
    return Promise.resolve({ ...like, name: "first", destroy: () => void events.push("close") } as unknown as Device);
  };
  await b.run([], { thread, openDevice });
  assert.deepEqual(events, ["open", "close"]);
  for (const id of ["left", "right"]) {
    assert.equal(b.at(`${id}/device.txt`), JSON.stringify(like));
    assert.equal(JSON.parse(b.at(`${id}/manifest.json`)).adapter, JSON.stringify(like));
  }
});

Deno.test("stages side by side share out the adapters of a run, which must not be more", async () => {
  using b = meeting("device", "device");
  const adapters = ["one", "two"].map((description) => ({ description })) as unknown as Adapter[];
  await b.run([], { thread, adapters });
  const used = ["left", "right"].map((id) => JSON.parse(b.at(`${id}/device.txt`)).adapter.description);
  assert.deepEqual(used.sort(), ["one", "two"]);
  await assert.rejects(
    b.run([], { thread, adapters: [...adapters, ...adapters] }),
    /on 4 GPUs as its jobs are 2, hint/,
  );
});

Deno.test("a stage that fails stops those beside it, and is the one that is named, with what to do", async () => {
  const endings = [
    ["throw", /stage "left" \(fake\/meet\): Cannot go on\n.*trace: .*error\.txt/],
    ["full disk", /No space left, hint: free space on that disk/],
    ["crash", /The thread of the stage failed: .*thrown by no call/],
    ["device", /stage "left" \(fake\/meet\): Cannot open a GPU in this test/],
  ] as const;
  for (const [then, message] of endings) {
    using b = meeting(then, "wait");
    await assert.rejects(b.run([], { thread }), (error: unknown) => {
      assert.ok(error instanceof StageError, String(error));
      assert.equal(error.status, "failed");
      assert.match(error.message.replaceAll("\n", "\n "), message);
      return true;
    });
  }
});

Deno.test("stages side by side stop at a checkpoint when one fails, and go on from there", async () => {
  // Left fails once right has begun, and right waits until it is stopped.
  using b = bench();
  const [begun, go] = [join(b.dir, "begun"), join(b.dir, "go")];
  Deno.writeTextFileSync(
    b.file,
    `
name: test
jobs: 2
stages:
  faces: { uses: fake/draw, with: { count: 2 } }
  left: { uses: fake/train, in: { data: faces }, with: { steps: 40, wait_at: 9, wait_for: ${begun}, stop_at: 10 } }
  right: { uses: fake/train, in: { data: faces }, with: { steps: 400, wait_at: 20, wait_for: ${go} } }
  report: { uses: fake/collect, in: { all: [left, right] } }
`,
  );
  const reporter = {
    event(event: RunEvent) {
      if (event.event === "progress" && event.stage === "right" && event.done >= 2) Deno.writeTextFileSync(begun, "");
    },
  };
  await assert.rejects(b.run([], { thread, reporter }), { stage: "left", status: "failed" });
  const { stages } = JSON.parse(b.at("summary.json"));
  const states = ["left", "right", "report"].map((id) => stages[id].status);
  assert.deepEqual(states, ["failed", "interrupted", "waiting"]);
  assert.ok(Number(b.at(".work/right/files/step.json")) <= 20);
  assert.ok(stages.left.seconds > 0);
  Deno.writeTextFileSync(go, "");
  await b.run([], { thread });
  assert.equal(b.at("report/all.txt"), "left right");
  assert.equal(b.at("right/metrics.jsonl").trim().split("\n").length, 400);
});

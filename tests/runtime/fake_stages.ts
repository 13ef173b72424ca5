/** Small stages that stand for the real ones in tests of the pipeline runtime. */
import assert from "node:assert/strict";
import { z } from "zod";
import { exists, writeAtomic } from "../../formats/files.ts";
import type { Registry } from "../../runtime/pipeline/file.ts";
import { type AnyStage, folder, stage } from "../../runtime/stage.ts";

/** Pulled by the option `abort_at`; a test that uses it puts a new one in its place. */
export let interrupt = new AbortController();

/** A new {@link interrupt}. */
export function newInterrupt(): AbortController {
  return interrupt = new AbortController();
}

/** What ran, in order. */
export const ran: string[] = [];

const draw = stage({
  id: "fake/draw",
  doc: "Writes lines.",
  version: 1,
  inputs: {},
  output: "dataset",
  options: z.object({
    count: z.int().min(1).max(512).describe("Lines to write"),
    domain: z.enum(["photo", "ink", "oil"]).default("photo").describe("Look of the lines"),
    size: z.object({ width_px: z.int().min(1).default(8), noise: z.number().min(0).max(1).default(0) }).strict()
      .prefault({}).describe("Size"),
    styles: z.array(z.string()).default([]).describe("Styles"),
    from: folder(z.string()).optional().describe("Folder with lines"),
    network: folder(z.string(), ["model.txt", "parts"]).optional().describe("Folder with model.txt and parts/"),
  }),
  async run(ctx, _inputs, { count, styles }) {
    ran.push(ctx.id);
    await Deno.writeTextFile(`${ctx.dir}/lines.txt`, `${ctx.seed} ${styles}\n`.repeat(count));
    ctx.summary({ detector: ctx.id, dataset: "lines", nme_interocular: count / 8 });
  },
});

const train = stage({
  id: "fake/train",
  doc: "Counts steps, with a checkpoint after each.",
  version: 1,
  inputs: { data: "dataset", "init?": "model" },
  output: "model",
  options: z.object({
    steps: z.int().min(1).describe("Steps"),
    lr: z.number().min(0).max(1).default(1e-4).describe("Step size"),
    stop_at: z.int().optional().describe("Step at which it throws"),
    abort_at: z.int().optional().describe("Step at which the run is interrupted"),
    wait_at: z.int().optional().describe("Step at which it waits for the file"),
    wait_for: z.string().optional().describe("File that lets it go on"),
    sleep_ms: z.int().default(0).describe("Time of a step"),
  }),
  async cost({ steps }, { data }) {
    return { input_bytes: (await Deno.stat(`${data.dir}/lines.txt`)).size, steps };
  },
  async run(ctx, { data }, { steps, lr, stop_at, abort_at, wait_at, wait_for, sleep_ms }) {
    ran.push(ctx.id);
    const checkpoint = `${ctx.work}/step.json`;
    const saved = await Deno.readTextFile(checkpoint).then(JSON.parse).catch(() => 0);
    // As a stage does that died after a metric and before the checkpoint: the step is done again.
    if (saved) ctx.resumeMetrics(saved - 1);
    for (let step = Math.max(1, saved); step <= steps; step++) {
      ctx.metric({ step, loss: lr / step });
      ctx.progress(step, steps, { loss: lr / step });
      await Deno.writeTextFile(checkpoint, `${step}`);
      if (abort_at === step && saved !== step) interrupt.abort();
      if (stop_at === step && saved !== step) throw new RangeError(`Cannot go on at step ${step}`);
      while (wait_at === step && !exists(wait_for!)) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        ctx.signal.throwIfAborted();
      }
      await new Promise((resolve) => setTimeout(resolve, sleep_ms));
      ctx.signal.throwIfAborted();
    }
    await Deno.writeTextFile(`${ctx.dir}/model.txt`, `${steps} ${await Deno.readTextFile(`${data.dir}/lines.txt`)}`);
  },
});

const collect = stage({
  id: "fake/collect",
  doc: "Lists all stages before it.",
  version: 1,
  inputs: { "all*": "any" },
  output: "report",
  options: z.object({}),
  async run(ctx, { all }) {
    ran.push(ctx.id);
    await Deno.writeTextFile(`${ctx.dir}/all.txt`, all.map(({ stage }) => stage).join(" "));
  },
});

const meet = stage({
  id: "fake/meet",
  doc: "Holds its thread up until another stage has come to the same folder; asks for the GPU.",
  version: 1,
  inputs: { data: "dataset" },
  output: "model",
  options: z.object({
    place: folder(z.string()).describe("Folder to meet in"),
    then: z.enum(["device", "throw", "crash", "full disk", "wait"]).default("device").describe("What it does there"),
  }),
  async run(ctx, _inputs, { place, then }) {
    Deno.writeTextFileSync(`${place}/${ctx.id}`, "");
    while ([...Deno.readDirSync(place)].length < 2);
    if (then === "throw") throw new RangeError("Cannot go on");
    if (then === "full disk") throw Object.assign(new Error("No space left"), { code: "ENOSPC" });
    if (then === "crash") setTimeout(() => assert.fail("thrown by no call"));
    while (then === "wait" || then === "crash") {
      await new Promise((resolve) => setTimeout(resolve, 1));
      ctx.signal.throwIfAborted();
    }
    await Deno.writeTextFile(`${ctx.dir}/device.txt`, (await ctx.device()).name);
  },
});

const parts = stage({
  id: "fake/parts",
  doc: "Writes numbered files, of which several processes can make parts.",
  version: 1,
  inputs: { data: "dataset" },
  output: "dataset",
  options: z.object({
    count: z.int().min(1).describe("Files"),
    fail_at: z.int().optional().describe("File at which it throws"),
    sleep_ms: z.int().default(0).describe("Time of a file"),
  }),
  async shard(ctx, _inputs, { count, fail_at, sleep_ms }, shard) {
    ran.push(`${ctx.id} ${shard.index}`);
    for (let i = shard.index; i < count; i += shard.count) {
      if (i === fail_at) throw new RangeError(`Cannot write file ${i}`);
      if (!exists(`${ctx.work}/${i}`)) {
        await new Promise((resolve) => setTimeout(resolve, sleep_ms));
        ctx.signal.throwIfAborted();
        writeAtomic(`${ctx.work}/${i}`, `${ctx.seed} ${i}`);
      }
      ctx.progress(Math.floor(i / shard.count) + 1, Math.ceil((count - shard.index) / shard.count));
    }
  },
  async run(ctx, _inputs, { count }) {
    let made = 0;
    for (let i = 0; i < count; i++) {
      const known = exists(`${ctx.work}/${i}`);
      if (!known) made++;
      await Deno.writeTextFile(
        `${ctx.dir}/${i}`,
        known ? Deno.readTextFileSync(`${ctx.work}/${i}`) : `${ctx.seed} ${i}`,
      );
    }
    await Deno.writeTextFile(`${ctx.dir}/lines.txt`, `${ctx.seed}`);
    ran.push(`${ctx.id}: ${made} of ${count}`);
  },
});

const stages: AnyStage[] = [draw, train, collect, meet, parts];

/** The fake stages by id. */
export const registry: Registry = Object.fromEntries(stages.map((spec) => [spec.id, () => Promise.resolve(spec)]));

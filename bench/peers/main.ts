/**
 * `bench --peers`: other engines on the same adapter in the same run. A process of its own, as it locks packages that
 * the product must not have.
 *
 * @module
 */

import { Command } from "@commander-js/extra-typings";
import { type Context, execute, note, print, UsageError } from "../../cli/command.ts";
import { guard } from "../../cli/main.ts";
import type { Device } from "../../engine/device.ts";
import { gpuOption, openChosen } from "../../cli/_device.ts";
import { chooseCases, printCeilings, row } from "../../cli/bench.ts";
import type { Case } from "../cases.ts";
import { Loaded } from "../figures.ts";
import { measure, measureCeilings, settled } from "../measure.ts";
import { jax } from "./jax.ts";
import { onnxWasm, onnxWebgpu } from "./onnxruntime.ts";
import { CannotDo, type OpenPeer, type Peer, type Ready, type Task } from "./peer.ts";
import { tensorflow } from "./tensorflow.ts";

/** All that are compared with. */
export const PEERS: readonly Peer[] = [tensorflow, jax, onnxWebgpu, onnxWasm];

/** Cases that they are asked for: stride 1, and kernels of 3 for convolutions. */
export const ASKED = /^(conv2d\.\w+:n4-\d+x\d+-\d+-\d+|matmul:.*|attention\..*|unet\.forward:.*)$/;

/** Largest difference of two results, as a part of the largest magnitude of ours: sums of f32 in another order. */
const TOLERANCE = 1e-4;

/** On a software driver a run takes them seconds. */
const CARE = { runs: 3, least_ms: 100 };

type Answer = { readonly ms: number; readonly ratio: number } | { readonly reason: string };

const reasonOf = (error: unknown): string =>
  error instanceof CannotDo ? error.message : `it fails: ${`${error}`.replace(/\n.*/s, "").slice(0, 200)}`;

const peers = (context: Context) =>
  new Command()
    .option("--only <PATTERNS>", "cases whose names match, with commas between; * matches any text, ? any letter")
    .addOption(gpuOption())
    .option("--json", "print a JSON line for each engine and case")
    .action(async ({ only, json = false, gpu }) => {
      const chosen = peerCases(only);
      const device = await openChosen(gpu, context);
      try {
        await timePeers(device, chosen, json, context.print);
      } finally {
        device.destroy();
      }
    });

/** The cases that other engines are asked for, by a pattern. */
function peerCases(only: string | undefined): Case[] {
  const chosen = chooseCases(only).filter(({ name }) => ASKED.test(name));
  if (!chosen.length) {
    throw new UsageError(
      `Cannot compare "${only}" as other engines are not asked for such cases, hint: they are for 3 x 3 ` +
        "convolutions, matmul, attention and unet.forward",
    );
  }
  return chosen;
}

async function timePeers(
  device: Device,
  chosen: readonly Case[],
  json: boolean,
  print: Context["print"],
): Promise<void> {
  printCeilings(device, await measureCeilings(device), json, print);
  const opened: [Peer, OpenPeer][] = [];
  for (const peer of PEERS) {
    try {
      const open = await peer.open();
      if (open.adapter !== null && !device.name.includes(open.adapter)) {
        throw new CannotDo(`its adapter is ${open.adapter}`);
      }
      opened.push([peer, open]);
    } catch (error) {
      const reason = reasonOf(error);
      print(json ? JSON.stringify({ peer: peer.name, reason }) : `${peer.name} is left out: ${reason}`);
    }
  }
  if (!json) print(row("times as fast as", ["ours, ms", ...opened.map(([{ name }]) => ` ${name}`)]));
  const reasons: string[] = [];
  for (const one of chosen) {
    const ours = await timeOurs(device, one);
    const cells: string[] = [];
    for (const [{ name }, open] of opened) {
      const answer = await ask(open, ours);
      if (json) {
        print(
          JSON.stringify({ peer: name, case: one.name, ...answer, ...("ratio" in answer && { ours_ms: ours.ms }) }),
        );
      }
      cells.push("ratio" in answer ? `${answer.ratio.toPrecision(3)} x` : "-");
      if ("reason" in answer) reasons.push(`${name} on ${one.name}: ${answer.reason}`);
    }
    if (!json) print(row(one.name, [ours.ms, ...cells]));
  }
  if (!json) reasons.forEach((line) => print(line));
}

/** A case done by us, and what others need to do it. */
interface Ours {
  readonly task: Task;
  readonly results: Readonly<Record<string, Float32Array>>;
  readonly ms: number;
}

async function timeOurs(device: Device, one: Case): Promise<Ours> {
  const workload = await one.workload();
  const loaded = new Loaded(device, workload);
  const { executable, inputs, weights } = loaded;
  const results: Record<string, Float32Array> = {};
  for (const name in workload.fetches.outputs) results[name] = await executable.read(name);
  const { ms } = await measure(() => executable.run(), settled(device), { warm: true });
  loaded.destroy();
  const heads = Number(/-h(\d+)-/.exec(one.name)?.[1] ?? 1);
  return { task: { name: one.name, heads, inputs, fetches: workload.fetches, weights }, results, ms };
}

/** Has a peer do the task: its result is compared with ours, then it is timed. */
async function ask(open: OpenPeer, { task, results, ms: ours_ms }: Ours): Promise<Answer> {
  try {
    const ready = await open.prepare(task);
    try {
      await ready.run();
      await ready.wait();
      await compare(ready, results);
      const { ms } = await measure(() => ready.run(), () => ready.wait(), { ...CARE, warm: true });
      await compare(ready, results); // the last run that was timed
      return { ratio: ms / ours_ms, ms };
    } finally {
      ready.destroy();
    }
  } catch (error) {
    return { reason: reasonOf(error) };
  }
}

/** @throws {Error} If the results of a peer's latest run are not ours. */
async function compare(ready: Ready, results: Ours["results"]): Promise<void> {
  for (const [name, theirs] of Object.entries(await ready.read())) {
    const own = results[name];
    if (!own) throw new Error(`it gives "${name}", which is no result of the task`);
    const error = difference(own, theirs);
    if (!(error < TOLERANCE)) throw new Error(`its ${name} differs from ours by ${error.toExponential(1)}`);
  }
}

/** Largest difference, as a part of the largest magnitude of `ours`. */
function difference(ours: Float32Array, theirs: Float32Array): number {
  if (ours.length !== theirs.length) return Infinity;
  const scale = ours.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  return ours.reduce((worst, v, k) => Math.max(worst, Math.abs(v - theirs[k]!)), 0) / scale;
}

if (import.meta.main) {
  const doc = "Times other engines on the same adapter; prints how many times as fast as each this one is.";
  const entry = { name: "deno task bench --peers", doc };
  // Exit at once: workers and drivers' threads outlive the work.
  Deno.exit(
    await guard(
      { note, print },
      () => execute(peers, entry, Deno.args, { print, note, output: Deno.stdout, registry: {} }),
    ),
  );
}

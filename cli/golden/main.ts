/**
 * Holds networks, schedules, losses and metrics to golden numbers computed by their original implementations.
 *
 * A case is one `NAME.json`, with tensors in safetensors beside it, in a folder laid out like `tests/golden`. Its `kind`
 * picks a check; a check computes what the case asks for and gives an error for each group of tensors, which must not
 * exceed the case's own tolerance.
 *
 * @module
 */

import { type Device, openDevice } from "../../engine/device.ts";
import { type GoldenCheck, type GoldenResult, openCase } from "./case.ts";

/** Checks by `kind`, loaded when a case needs them. */
const checks: Readonly<Record<string, () => Promise<GoldenCheck>>> = {
  "autoencoder-kl": async () => (await import("./autoencoder.ts")).autoencoderCheck,
  "awing-loss": async () => (await import("./star.ts")).awingCheck,
  "bert-wordpiece": async () => (await import("./text.ts")).wordPieceCheck,
  "cldm-original-names": async () => (await import("./originals.ts")).cldmCheck,
  "clip-bpe": async () => (await import("./text.ts")).clipBpeCheck,
  "clip-text": async () => (await import("./text.ts")).clipTextCheck,
  "controlnet": async () => (await import("./diffusion.ts")).controlnetCheck,
  "ddim-loop": async () => (await import("./schedule.ts")).ddimLoopCheck,
  "ddim-unit-tests": async () => (await import("./schedule.ts")).ddimUnitTestsCheck,
  "ddpm": async () => (await import("./schedule.ts")).ddpmCheck,
  "key-list": async () => (await import("./originals.ts")).keyListCheck,
  "ldm-autoencoder-kl-original-names": async () => (await import("./originals.ts")).ldmAutoencoderCheck,
  "ldm-bert": async () => (await import("./originals.ts")).bertCheck,
  "ldm-bert-original-names": async () => (await import("./originals.ts")).ldmBertCheck,
  "ldm-ddim-sampler": async () => (await import("./schedule.ts")).ldmSamplerCheck,
  "ldm-unet-original-names": async () => (await import("./originals.ts")).ldmUnetCheck,
  "noise-schedule": async () => (await import("./schedule.ts")).noiseScheduleCheck,
  "ops": async () => (await import("./ops.ts")).opsCheck,
  "optimizers": async () => (await import("./ops.ts")).optimizersCheck,
  "star-crop": async () => (await import("./star.ts")).starCropCheck,
  "star-decoder": async () => (await import("./star.ts")).starDecoderCheck,
  "star-ema": async () => (await import("./star.ts")).starEmaCheck,
  "star-heatmaps": async () => (await import("./star.ts")).starHeatmapsCheck,
  "star-loss": async () => (await import("./star.ts")).starLossCheck,
  "star-metrics": async () => (await import("./star.ts")).starMetricsCheck,
  "star-smoothl1-wing": async () => (await import("./star.ts")).smoothL1WingCheck,
  "star-stacked-hourglass": async () => (await import("./star.ts")).starNetworkCheck,
  "unet2d-condition": async () => (await import("./diffusion.ts")).unetCheck,
  "vq-model": async () => (await import("./autoencoder.ts")).vqCheck,
};

/** What {@linkcode runGolden} may be told. */
export interface GoldenOptions {
  /** Runs only the cases whose names contain this text. */
  filter?: string;
  /** Receives the lines; the console when not given. */
  print?: (line: string) => void;
}

/**
 * Runs the cases of a folder and prints a line for each: the worst of its groups, relative to its tolerance.
 *
 * @param dir Folder of the cases.
 * @returns Exit code: 0 when every case passed or is of a kind without a check, else 1.
 */
export async function runGolden(dir: string, { filter = "", print }: GoldenOptions = {}): Promise<number> {
  // deno-lint-ignore no-console
  print ??= console.log;
  const names: string[] = [];
  for await (const { name } of Deno.readDir(dir)) {
    if (name.endsWith(".json") && name.includes(filter)) names.push(name.slice(0, -".json".length));
  }
  let device: Device | undefined;
  const count = { passed: 0, failed: 0, skipped: 0 };
  for (const name of names.sort()) {
    const c = await openCase(dir, name);
    const start = performance.now();
    let status: keyof typeof count, detail: string;
    const check = checks[c.json.kind];
    if (!check) [status, detail] = ["skipped", `unsupported: ${c.json.kind}`];
    else {
      try {
        device ??= await openDevice();
        const results = await (await check())(c, device);
        status = !results.length ? "skipped" : results.every(passes) ? "passed" : "failed";
        detail = results.filter((r) => status === "passed" || !passes(r)).map(show).join(", ") || "unsupported";
      } catch (error) {
        [status, detail] = ["failed", `${error}`];
      }
      detail += `  (${((performance.now() - start) / 1000).toFixed(1)} s)`;
    }
    count[status]++;
    print(`${status === "skipped" ? "-   " : status === "passed" ? "ok  " : "FAIL"} ${name.padEnd(30)} ${detail}`);
  }
  device?.destroy();
  print(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
  return count.failed ? 1 : 0;
}

const passes = ({ error, tolerance }: GoldenResult) => error <= tolerance;

function show({ group, error, tolerance, tensor }: GoldenResult): string {
  const text = `${group} ${error.toExponential(1)} of ${tolerance.toExponential(1)}`;
  return error <= tolerance || !tensor ? text : `${text} at ${tensor}`;
}

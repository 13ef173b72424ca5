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
import { isSystemError } from "../../formats/disk_error.ts";
import { namesIn } from "../../formats/files.ts";
import { InputError } from "../../formats/input_error.ts";
import { DOCUMENTATION, type GoldenCase, type GoldenCheck, type GoldenResult, openCase } from "./case.ts";

/** A kind of case: the keys that its JSON may have in addition to those of every case, and its check, loaded when needed. */
interface GoldenKind {
  readonly keys: readonly string[];
  readonly load: () => Promise<GoldenCheck>;
}

const KINDS: Readonly<Record<string, GoldenKind>> = {
  "autoencoder-kl": {
    keys: ["grad_of", "kl_weight"],
    load: async () => (await import("./autoencoder.ts")).autoencoderCheck,
  },
  "awing-loss": { keys: [], load: async () => (await import("./star.ts")).awingCheck },
  "bert-wordpiece": {
    keys: ["vocab_file", "vocab_sha256", "vectors"],
    load: async () => (await import("./text.ts")).wordPieceCheck,
  },
  "cldm-original-names": {
    keys: ["diffusers_config", "ldm_to_diffusers_names", "unet_params_from"],
    load: async () => (await import("./originals.ts")).cldmCheck,
  },
  "clip-bpe": {
    keys: ["vocab_file", "vocab", "merges", "vectors"],
    load: async () => (await import("./text.ts")).clipBpeCheck,
  },
  "clip-text": { keys: [], load: async () => (await import("./text.ts")).clipTextCheck },
  "controlnet": {
    keys: [
      "train",
      "controlnet_params_equal_to_unet_by_name",
      "controlnet_params_zero",
      "grad_exactly_zero",
      "zero_init_facts",
    ],
    load: async () => (await import("./diffusion.ts")).controlnetCheck,
  },
  "ddim-loop": {
    keys: ["num_inference_steps", "eta", "model_function", "guidance", "timesteps"],
    load: async () => (await import("./schedule.ts")).samplerLoopCheck,
  },
  "ddim-unit-tests": {
    keys: ["num_inference_steps", "eta", "dummy_sample", "dummy_model", "full_loops", "variance", "steps_offset"],
    load: async () => (await import("./schedule.ts")).ddimUnitTestsCheck,
  },
  "ddpm": { keys: ["timesteps", "posterior_variance"], load: async () => (await import("./schedule.ts")).ddpmCheck },
  "key-list": {
    keys: ["entries", "prefix_in_a_full_checkpoint", "keys", "to_diffusers", "buffers"],
    load: async () => (await import("./originals.ts")).keyListCheck,
  },
  "ldm-autoencoder-kl-original-names": {
    keys: ["diffusers_config", "ldm_to_diffusers_names", "names_from"],
    load: async () => (await import("./originals.ts")).ldmAutoencoderCheck,
  },
  "ldm-bert": { keys: [], load: async () => (await import("./originals.ts")).bertCheck },
  "ldm-bert-original-names": {
    keys: ["ldm_to_diffusers_names"],
    load: async () => (await import("./originals.ts")).ldmBertCheck,
  },
  "ldm-ddim-sampler": {
    keys: ["model_function", "timesteps", "ddim_alphas", "ddim_alphas_prev"],
    load: async () => (await import("./schedule.ts")).ldmSamplerCheck,
  },
  "ldm-unet-original-names": {
    keys: ["diffusers_config", "ldm_to_diffusers_names", "names_from"],
    load: async () => (await import("./originals.ts")).ldmUnetCheck,
  },
  "noise-schedule": {
    keys: ["timesteps", "timesteps_note", "peer_ldm", "max_relative_difference_diffusers_vs_ldm_alphas_cumprod"],
    load: async () => (await import("./schedule.ts")).noiseScheduleCheck,
  },
  "ops": { keys: ["ops"], load: async () => (await import("./ops.ts")).opsCheck },
  "optimizers": { keys: ["clip", "lr_schedules"], load: async () => (await import("./ops.ts")).optimizersCheck },
  "sampler-loop": {
    keys: ["sampler", "num_inference_steps", "eta", "spacing", "model_function", "guidance", "timesteps"],
    load: async () => (await import("./schedule.ts")).samplerLoopCheck,
  },
  "star-crop": { keys: ["crops"], load: async () => (await import("./star.ts")).starCropCheck },
  "star-decoder": { keys: [], load: async () => (await import("./star.ts")).starDecoderCheck },
  "star-ema": { keys: [], load: async () => (await import("./star.ts")).starEmaCheck },
  "star-heatmaps": { keys: [], load: async () => (await import("./star.ts")).starHeatmapsCheck },
  "star-loss": {
    keys: ["smallest_relative_eigenvalue_gap", "largest_asymmetry_of_V"],
    load: async () => (await import("./star.ts")).starLossCheck,
  },
  "star-metrics": {
    keys: ["default_threshold", "nme_mean", "results", "xs_count", "xs_last"],
    load: async () => (await import("./star.ts")).starMetricsCheck,
  },
  "star-smoothl1-wing": { keys: [], load: async () => (await import("./star.ts")).smoothL1WingCheck },
  "star-stacked-hourglass": {
    keys: [
      "loss",
      "parameters_without_gradient",
      "l2_norms_of_outputs_not_included",
      "grad_note",
      "after_train_step_stats_l2_norms",
    ],
    load: async () => (await import("./star.ts")).starNetworkCheck,
  },
  "unet2d-condition": { keys: ["grads_included"], load: async () => (await import("./diffusion.ts")).unetCheck },
  "vq-model": {
    keys: [
      "grad_of",
      "smallest_margin_between_best_and_second_best_squared_distance",
      "distinct_codes_used",
      "codes_used",
    ],
    load: async () => (await import("./autoencoder.ts")).vqCheck,
  },
};

/** Keys that any case may have. */
const COMMON = [...DOCUMENTATION, "config", "files", "group_scale", "tolerance", "grad_l2_norms", "generated"];

/** Options of {@linkcode runGolden}. */
export interface GoldenOptions {
  /** Runs only the cases whose names contain this text. */
  filter?: string;
  /** Receives the lines; by default the console. */
  print?: (line: string) => void;
  /** Opens the GPU, for the first case that there is. */
  open?: () => Promise<Device>;
}

/**
 * Runs the cases of a folder and prints a line for each: the worst of its groups, relative to its tolerance. A case that
 * cannot be checked fails: one of an unknown kind, with a key that is not known, or without a result.
 *
 * @param dir Folder of the cases.
 * @returns Exit code: 0 when there is a case and every one passed, else 1.
 */
export async function runGolden(
  dir: string,
  { filter = "", print, open = openDevice }: GoldenOptions = {},
): Promise<number> {
  // deno-lint-ignore no-console
  print ??= console.log;
  const names: string[] = [];
  for (const name of await namesIn(dir)) {
    if (name.endsWith(".json") && name.includes(filter)) names.push(name.slice(0, -".json".length));
  }
  let device: Device | undefined;
  let failed = 0;
  for (const name of names.sort()) {
    const start = performance.now();
    let detail: string;
    let passed = false;
    try {
      const c = await openCase(dir, name);
      const { load } = kindOf(c);
      device ??= await open();
      const results = await (await load())(c, device);
      passed = results.length > 0 && results.every(passes);
      detail = results.filter((r) => passed || !passes(r)).map(show).join(", ") || "nothing was compared";
    } catch (error) {
      detail = error instanceof InputError || error instanceof SyntaxError || isSystemError(error)
        ? (error as Error).message
        : `${(error as Error).stack}`;
    }
    if (!passed) failed++;
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    print(`${passed ? "ok  " : "FAIL"} ${name.padEnd(30)} ${detail}  (${seconds} s)`);
  }
  device?.destroy();
  print(`${names.length - failed} passed, ${failed} failed`);
  return failed || !names.length ? 1 : 0;
}

/** The kind of a case; throws for one that is unknown, and for keys that no check reads. */
function kindOf({ name, json }: GoldenCase): GoldenKind {
  const kind = Object.hasOwn(KINDS, json.kind) ? KINDS[json.kind] : undefined;
  if (!kind) {
    throw new InputError(
      `Cannot check ${name}: its kind is ${JSON.stringify(json.kind)}, hint: kinds are ${
        Object.keys(KINDS).join(", ")
      }`,
    );
  }
  const known = [...COMMON, ...kind.keys];
  const strange = Object.keys(json).filter((key) => !known.includes(key));
  if (strange.length) {
    throw new InputError(
      `Cannot check ${name}: a case of kind ${json.kind} has no key ${strange.map((key) => `"${key}"`).join(", ")}`,
    );
  }
  if (json.case !== name) throw new InputError(`Cannot check ${name}: "case" is ${JSON.stringify(json.case)}`);
  return kind;
}

const passes = ({ error, tolerance }: GoldenResult) => error <= tolerance;

function show({ group, error, tolerance, tensor }: GoldenResult): string {
  const text = `${group} ${error.toExponential(1)} of ${tolerance.toExponential(1)}`;
  return error <= tolerance || !tensor ? text : `${text} at ${tensor}`;
}

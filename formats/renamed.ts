/**
 * Names of earlier versions: keys, values, parameters and stages of YAML files that are called otherwise now.
 *
 * Nothing reads an old name. Wherever a name is unknown, this table gives the hint.
 *
 * @module
 */

/** New names by old ones; where a name meant several things, the one that is known where it stands counts. */
const RENAMED: Readonly<Record<string, readonly string[]>> = {
  // Options of stages.
  accumulate: ["gradient_accumulation_steps"],
  batch: ["batch_size"],
  decay: ["lr_schedule"],
  deviations: ["max_zscore"],
  duplicate_bits: ["max_hash_distance"],
  ema: ["ema_decay"],
  frozen_weights: ["frozen_dtype"],
  memory: ["memory_limit"],
  mix: ["data_weights"],
  most_nme: ["max_nme"],
  shares: ["weights"],
  tries: ["retries"],
  warmup: ["warmup_steps"],
  weights: ["dtype"],
  // Keys and values of splits, and the stages that were called so.
  held: ["split: test", "holdout", "test"],
  // Keys of edits.
  by_iod: ["offset_iod"],
  draws: ["random"],
  slant: ["shear"],
  tall: ["scale_y"],
  times: ["multiply_by"],
  turn_deg: ["rotate_deg"],
  wide: ["scale_x"],
  // Stages and parameters of the pipelines that ship.
  hard: ["test_styles"],
  held_back: ["validation"],
  held_photos: ["test_photos", "holdout_photos"],
  small: ["multi_domain"],
  star: ["baseline"],
  synth: ["synthetic"],
  table: ["evaluation"],
  warm: ["finetune_round1"],
  watch: ["validation"],
};

/**
 * A hint for a name of an earlier version; undefined for any other name.
 *
 * @param given The name that is unknown.
 * @param known Names that are allowed in its place.
 */
export function renamedHint(given: string, known: readonly string[]): string | undefined {
  const now = newNames(given).find((name) => known.includes(name.replace(/:.*$/s, "")));
  return now && `\`${given}\` is called \`${now}\``;
}

/** Names that something had in earlier versions. */
export function oldNames(now: string): string[] {
  return Object.keys(RENAMED).filter((old) => newNames(old).includes(now));
}

function newNames(old: string): readonly string[] {
  return Object.hasOwn(RENAMED, old) && RENAMED[old] || [];
}

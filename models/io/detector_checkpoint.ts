/**
 * Detectors in checkpoints of the original code: their configuration, which no weight has to be read for.
 *
 * @module
 */

import { InputError } from "../../formats/input_error.ts";
import { DETECTOR_NETWORKS, type DetectorConfig } from "../detectors/registry.ts";
import { below, findPlace, unwrapped } from "./sections.ts";
import { openTensors } from "./tensor_files.ts";

/**
 * Infers the configuration of the detector in a checkpoint.
 *
 * @param path A file such as STAR's `train.pkl`.
 * @returns The configuration that its conversion writes.
 * @throws {InputError} If the file cannot be read, or has no detector's network.
 */
export async function detectorConfigIn(path: string): Promise<DetectorConfig> {
  using opened = await openTensors(path);
  const whole = unwrapped(opened);
  const originals = DETECTOR_NETWORKS.flatMap(({ original }) => original ?? []);
  const { section } = findPlace(whole, originals, false);
  for (const { prefixes, mark, infer } of originals) {
    const prefix = prefixes.find((prefix) => section.has(prefix + mark));
    if (prefix === undefined) continue;
    const size = whole.has("size_px") ? (await whole.read("size_px")).data[0] : undefined;
    return infer(below(section, prefix), undefined, { size_px: size });
  }
  const names = whole.names.slice(0, 3).map((name) => `"${name}"`).join(", ");
  throw new InputError(`Cannot use ${path} as a detector: its tensors ${names}, ... are of no detector that is known`);
}

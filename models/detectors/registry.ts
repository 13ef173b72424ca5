/**
 * The networks that a landmark detector may be. A new one is a file that has a {@linkcode DetectorNetwork} and a row here:
 * training, detection, export, conversion and the options of `detector/train` go by it.
 *
 * @module
 */

import type { Graph } from "../../engine/graph.ts";
import { InputError } from "../../formats/input_error.ts";
import { type HostTensors, type ParameterSpec, Scope, type Specs } from "../io/params.ts";
import { type HourglassConfig, hourglassDetector } from "./hourglass.ts";
import type { DetectorExport, DetectorNetwork, Found, Trained } from "./network.ts";
import { starDetector, type StarDetectorConfig } from "./star_detector.ts";

/** Prefix of the network's parameters in a graph. */
export const DETECTOR = "detector/";

/** Configuration of a detector's network. */
export type DetectorConfig = HourglassConfig | StarDetectorConfig;

/** Networks by their `model_type`; the first is the default of a training. */
export const DETECTORS = {
  hourglass: hourglassDetector,
  star: starDetector,
} as const satisfies { [C in DetectorConfig as C["model_type"]]: DetectorNetwork<C> };

/** Every row, for code that treats all alike. */
export const DETECTOR_NETWORKS: readonly DetectorNetwork<DetectorConfig>[] = Object.values(DETECTORS);

/** The row of a configuration. */
export function networkOf({ model_type }: Pick<DetectorConfig, "model_type">): DetectorNetwork<DetectorConfig> {
  return DETECTORS[model_type];
}

/** A network for finding landmarks. */
export interface DetectorOutputs extends Found {
  /** Parameters of the network. */
  readonly specs: Specs;
}

/** Builds a network for finding landmarks. Its input is `images`, `[batch, size_px, size_px, 3]`, RGB from -1 to 1. */
export function detectorNetwork(graph: Graph, config: DetectorConfig, batch: number): DetectorOutputs {
  const { specs, scope, images } = begin(graph, config, batch);
  return { specs, ...networkOf(config).build(scope, images, config) };
}

/** A network with its loss. */
export interface DetectorTraining extends Trained {
  /** Parameters of the network. */
  readonly specs: Specs;
}

/**
 * Inputs of a network's training other than `images`.
 *
 * @param landmarks True ones, `[batch, P, 2]`, pixels of the images.
 */
export function detectorTargets(config: DetectorConfig, landmarks: Float32Array): Record<string, Float32Array> {
  return networkOf(config).targets(config, landmarks);
}

/**
 * Builds a network for training, with the loss of its kind; its inputs are `images`, as in {@linkcode detectorNetwork}, and
 * {@linkcode detectorTargets}.
 */
export function detectorTraining(graph: Graph, config: DetectorConfig, batch: number): DetectorTraining {
  const { specs, scope, images } = begin(graph, config, batch);
  return { specs, ...networkOf(config).train(scope, images, config, (name, shape) => graph.input(name, shape)) };
}

/** Names of the parameters that gradients move: all but running statistics. */
export function trainableNames(config: DetectorConfig, specs: Specs): string[] {
  const { statistics } = networkOf(config);
  return [...specs.keys()].filter((name) => !statistics?.test(name));
}

/** Formats of {@linkcode exportDetector} with their descriptions. */
export const DETECTOR_EXPORTS: Readonly<Record<string, string>> = Object.fromEntries(
  DETECTOR_NETWORKS.flatMap(({ exports }) => Object.entries(exports).map(([name, { doc }]) => [name, doc])),
);

/**
 * Writes a detector in a format of its network's own.
 *
 * @param path File or folder to write.
 * @returns Facts to print.
 * @throws {InputError} If the network has no such format.
 */
export async function exportDetector(
  format: string,
  path: string,
  config: DetectorConfig,
  specs: Specs,
  tensors: HostTensors,
): Promise<Readonly<Record<string, unknown>>> {
  const { title, exports } = networkOf(config);
  const found: DetectorExport<DetectorConfig> | undefined = exports[format];
  if (found) return await found.save(path, config, specs, tensors);
  const others = DETECTOR_NETWORKS.filter(({ exports }) => format in exports).map(({ option }) => `"${option.name}"`);
  throw new InputError(`Cannot export a ${title} as ${format}: its network is another`, {
    hint: `train with ${others.join(" or ")}, or export as onnx`,
  });
}

function begin(graph: Graph, { size_px }: DetectorConfig, batch: number) {
  const specs = new Map<string, ParameterSpec>();
  return {
    specs,
    scope: new Scope(graph, specs, DETECTOR),
    images: graph.input("images", [batch, size_px, size_px, 3]),
  };
}

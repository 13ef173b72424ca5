/**
 * The network of a training: the options that ask for it, its configuration, and the parameters that move.
 *
 * @module
 */
import { DEFAULT_SCHEMA, type SchemaName } from "../../faces/schema.ts";
import type { DetectorNetwork } from "../../models/detectors/network.ts";
import {
  DETECTOR,
  DETECTOR_NETWORKS,
  type DetectorConfig,
  DETECTORS,
  detectorTraining,
  trainableNames,
} from "../../models/detectors/registry.ts";
import { Graph } from "../../engine/graph.ts";
import type { Conflicts } from "../../runtime/stage.ts";
import { type ArtifactRef, detectorOf, schemaNameOf } from "../lib/artifacts.ts";
import { globFilter } from "../lib/glob.ts";

type Networks = typeof DETECTORS;

/** The option of each network, by its name. */
export const networkOptions = Object.fromEntries(
  DETECTOR_NETWORKS.map(({ option: { name, schema } }) => [name, schema]),
) as {
  [K in keyof Networks as Networks[K]["option"]["name"]]: Networks[K]["option"]["schema"];
};

/** Options without those that ask for a network. */
export const WITHOUT_NETWORK = Object.fromEntries(Object.keys(networkOptions).map((name) => [name, undefined]));

/** Options that ask for a network, which are set. */
function asksFor(options: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(networkOptions).filter((name) => options[name] !== undefined);
}

/** The network of a training: that of `init`, or one from scratch for the landmarks of the data. */
export async function configFor(
  options: Readonly<Record<string, unknown>> & { readonly schema?: SchemaName | undefined },
  data: readonly ArtifactRef[],
  init?: ArtifactRef,
): Promise<DetectorConfig> {
  if (init) return await detectorOf(init);
  const schema = options.schema ?? await schemaNameOf(data);
  const [name] = asksFor(options);
  const { success, data: config } = optionOf(name).config(name && options[name], schema);
  // An error of the network is a conflict of the option.
  if (!success) throw new Deno.errors.NotFound("The network cannot be built");
  return config;
}

/** The option of a name; that of the default network without a name. */
function optionOf(name: string | undefined): DetectorNetwork<DetectorConfig>["option"] {
  return (DETECTOR_NETWORKS.find(({ option }) => option.name === name) ?? DETECTORS.hourglass).option;
}

/** Conflicts of the options that configure a network: at most one may be given, and it must be valid. */
export function networkConflicts(options: Readonly<Record<string, unknown>>): Conflicts {
  const [name, other] = asksFor(options);
  const { error } = optionOf(name).config(name && options[name], DEFAULT_SCHEMA);
  return [
    other !== undefined && { option: other, reason: `"${name}" is given too`, hint: "leave one of them out" },
    ...(error?.issues ?? []).map(({ path, message }) => ({
      option: [name ?? "network", ...path],
      reason: `it ${message}`,
    })),
  ];
}

/** Patterns of `freeze` that fit no parameter, or all. */
export function freezeConflicts(config: DetectorConfig, freeze: readonly string[] | undefined): Conflicts {
  if (!freeze?.length) return [];
  const { specs } = detectorTraining(new Graph(), config, 1);
  const names = [...specs.keys()].map(shortName);
  const unknown = freeze.findIndex((pattern) => !names.some(globFilter([pattern], [])));
  return [
    unknown >= 0 && {
      option: ["freeze", unknown],
      reason: `the network has no parameter "${freeze[unknown]}"`,
      hint: `"${names[0]}" is one`,
    },
    !trainableNames(config, specs).some(movesUnless(freeze)) &&
    { option: "freeze", reason: "no parameter is left to train" },
  ];
}

/** Name of a parameter as files and `freeze` have it. */
const shortName = (name: string) => name.slice(DETECTOR.length);

/** Returns a test for the names of trained parameters: those that no pattern of `freeze` fits. */
export function movesUnless(freeze: readonly string[]): (name: string) => boolean {
  const moves = globFilter([], freeze);
  return (name) => moves(shortName(name));
}

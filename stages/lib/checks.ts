/**
 * Contradictions that several stages can have: datasets that do not fit together or to a network, weights, schedules.
 *
 * @module
 */
import { ignoreMissing } from "../../formats/files.ts";
import { type SchemaName, SCHEMAS } from "../../faces/schema.ts";
import type { AutoencoderConfig } from "../../models/diffusion/autoencoder.ts";
import type { UNetConfig } from "../../models/diffusion/unet.ts";
import type { Artifact, Conflict, Conflicts } from "../../runtime/stage.ts";
import { datasetInfo, detectorOf } from "./artifacts.ts";
import type { TrainingOptions } from "./training.ts";

/** Answers a question about an input; undefined where nothing is known of the input yet. */
export async function ifKnown<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    ignoreMissing(error);
  }
}

/** The learning rate's schedule: options that need each other, and milestones that are never reached. */
export function scheduleConflicts({ lr_schedule, milestones, gamma, steps }: TrainingOptions): Conflicts {
  const unused = `lr_schedule is "${lr_schedule}"`, hint = "set lr_schedule to step";
  const late = milestones?.findIndex((step) => step >= steps) ?? -1;
  if (lr_schedule === "step") {
    return [
      !milestones && { option: "lr_schedule", reason: `"milestones" is missing`, hint: "milestones: [3000, 4500]" },
      late >= 0 && { option: ["milestones", late], reason: `this step is never reached: steps is ${steps}` },
    ];
  }
  return [
    milestones && { option: "milestones", reason: unused, hint },
    gamma !== undefined && { option: "gamma", reason: unused, hint },
  ];
}

/** A list of weights: one for each thing that is weighed, and not all 0. */
export function weightsConflict(
  option: string,
  weights: readonly number[] | undefined,
  count: number,
  what: string,
): Conflict | undefined {
  if (!weights) return undefined;
  if (weights.length !== count) {
    const reason = `${count} ${what} take as many numbers: current value is [${weights.join(", ")}]`;
    return { option, reason, hint: "give one for each" };
  }
  return weights.some((weight) => weight > 0) ? undefined : { option, reason: "all numbers are 0" };
}

/** Options that are only for a new network, given with an input that has its own. */
export function ownConflicts(
  options: readonly string[],
  given: ReadonlySet<string>,
  input: Artifact | undefined,
  name = "init",
): Conflicts {
  return input
    ? options.filter((option) => given.has(option)).map((option) => ({
      option,
      reason: `the network is that of input "${name}", which has its own`,
      hint: `leave "${option}" or the input out`,
    }))
    : [];
}

/** Datasets that are used as one: images of one size, and landmarks of one schema. */
export async function datasetsConflicts(data: readonly Artifact[], input = "data"): Promise<Conflicts> {
  const all = await Promise.all(data.map(async (one) => {
    const info = await ifKnown(() => datasetInfo([one]));
    return info && { ...info, stage: one.stage };
  }));
  const [first, ...others] = all.filter((one) => one !== undefined);
  return !first ? [] : others.flatMap(({ stage, size_px, schema }): Conflict[] => {
    const pair = `"${first.stage}" and "${stage}"`;
    if (size_px !== first.size_px) {
      return [{ input, reason: `images of ${pair} differ in size: ${first.size_px} and ${size_px} pixels` }];
    }
    if (schema !== first.schema) {
      return [{ input, reason: `landmarks of ${pair} differ in schema: ${first.schema} and ${schema}` }];
    }
    return [];
  });
}

/** Datasets that a detector of a schema cannot be trained on, as their landmarks do not contain its own. */
export async function trainingSchemaConflicts(
  data: readonly Artifact[],
  schema: SchemaName | undefined,
  input: string,
): Promise<Conflicts> {
  return (await schemasOf(data)).map(({ stage, schema: has }) =>
    has && schema && !isConvertible(has, schema) && {
      input,
      reason: `landmarks of "${stage}" are of ${has}, which does not contain those of the network, ${schema}`,
    }
  );
}

/** Datasets that a detector cannot be measured on, as what it finds does not contain their landmarks. */
export async function measuringSchemaConflicts(
  data: readonly Artifact[],
  detector: Artifact | undefined,
  input = "data",
): Promise<Conflicts> {
  if (!detector) return [];
  const schema = (await ifKnown(() => detectorOf(detector)))?.schema;
  return (await schemasOf(data)).map(({ stage, schema: has }) =>
    has && schema && !isConvertible(schema, has) && {
      input,
      reason: `landmarks of "${stage}" are of ${has}, which "${detector.stage}" does not find: it finds ${schema}`,
    }
  );
}

async function schemasOf(data: readonly Artifact[]) {
  return await Promise.all(
    data.map(async (one) => ({ stage: one.stage, schema: (await ifKnown(() => datasetInfo([one])))?.schema })),
  );
}

/** Detectors that cannot be measured on all datasets. */
export async function detectorsConflicts(
  detectors: readonly Artifact[],
  data: readonly Artifact[],
): Promise<Conflicts> {
  return (await Promise.all(detectors.map((detector) => measuringSchemaConflicts(data, detector)))).flat();
}

/** Tests if landmarks of a schema contain those of another. */
function isConvertible(from: SchemaName, to: SchemaName): boolean {
  return from === to || SCHEMAS[from].maps[to] !== undefined;
}

/** Sizes that an autoencoder and a UNet cannot halve as often as they have levels. */
export async function sizeConflicts(
  data: readonly Artifact[],
  vae: Pick<AutoencoderConfig, "block_out_channels">,
  unet?: Pick<UNetConfig, "block_out_channels">,
  input = "data",
): Promise<Conflicts> {
  const info = await ifKnown(() => datasetInfo(data));
  if (!info) return [];
  const halvings = vae.block_out_channels.length - 1 + (unet ? unet.block_out_channels.length - 1 : 0);
  const multiple = 2 ** halvings;
  return [
    info.size_px % multiple !== 0 && {
      input,
      reason:
        `its images are ${info.size_px} pixels wide: a multiple of ${multiple} is expected, as the networks halve the ` +
        `side ${halvings} times`,
    },
  ];
}

/** Channels that groups of a normalisation do not divide. */
export function groupConflicts(channels: readonly number[], groups: number): Conflicts {
  const wrong = channels.find((count) => count % groups !== 0);
  return [wrong !== undefined && { option: "groups", reason: `${groups} does not divide ${wrong} of channels` }];
}

/**
 * Facts about artifacts that are there, or that earlier stages will make: networks, sizes and schemas.
 *
 * @module
 */
import { isDataset, openDataset } from "../../faces/data/dataset.ts";
import { DEFAULT_SCHEMA, type SchemaName } from "../../faces/schema.ts";
import { exists } from "../../formats/files.ts";
import { readDetectorConfig } from "../../models/detectors/detector.ts";
import type { DetectorConfig } from "../../models/detectors/registry.ts";
import { type AutoencoderConfig, autoencoderFormat } from "../../models/diffusion/autoencoder.ts";
import { bertFormat } from "../../models/diffusion/bert_text.ts";
import { textEncoderFormat } from "../../models/diffusion/clip_text.ts";
import { type ControlNetConfig, controlnetConfigFor, controlnetFormat } from "../../models/diffusion/controlnet.ts";
import { scheduleFormat } from "../../models/diffusion/schedule.ts";
import { unetFormat } from "../../models/diffusion/unet.ts";
import { loadNetworkConfig } from "../../models/io/network_folder.ts";
import { type Model, refuseCache, type TextConfig } from "../../models/io/pipeline_folder.ts";
import type { Artifact } from "../../runtime/stage.ts";

/** Files that are read of the folder of a detector or a finder. */
export const NETWORK_FILES: readonly string[] = ["config.json", "model.safetensors"];

/** The networks of a model, known by their configurations. */
export interface Networks extends Pick<Model, "vae" | "text" | "unet" | "controlnet"> {
  /** Tokens of a prompt at most. */
  readonly tokens: number;
  /** Time steps of the noise schedule, where the folder has one. */
  readonly timesteps?: number;
}

/** A folder that is there, or is to be. */
export type ArtifactRef = Pick<Artifact, "dir" | "info">;

/** Property of an artifact that is yet to be made; undefined for one that is there, or of which nothing is known. */
async function expectation({ info }: ArtifactRef, name: string): Promise<unknown> {
  return (await info?.())?.[name];
}

/** Networks of a model that may lack some, as one has after the training of its autoencoder. */
export type SomeNetworks = Pick<Networks, "vae"> & Partial<Networks>;

/**
 * The autoencoder of a model, there or to be made.
 *
 * @throws {Deno.errors.NotFound} If nothing is known of it yet.
 */
export async function autoencoderOf(model: ArtifactRef): Promise<AutoencoderConfig> {
  const expected = await expectation(model, "networks") as SomeNetworks | undefined;
  if (expected) return expected.vae;
  await Deno.stat(model.dir);
  return await loadNetworkConfig(`${model.dir}/${exists(`${model.dir}/vqvae`) ? "vqvae" : "vae"}`, autoencoderFormat);
}

/**
 * The networks of a model, by the configurations in its folder or, before there is one, by what is expected; weights and
 * tokenizer need not be there.
 *
 * @throws {Deno.errors.NotFound} If nothing is known of it yet.
 * @throws {InputError} If a configuration is missing or wrong.
 */
export async function networksOf(model: ArtifactRef): Promise<Networks> {
  const expected = await expectation(model, "networks");
  if (expected) return expected as Networks;
  const { dir } = model;
  const there = new Set<string>();
  for await (const { name } of Deno.readDir(dir)) there.add(name);
  await refuseCache(dir, there);
  const read = async <T>(folder: string, format: Parameters<typeof loadNetworkConfig<T>>[1]) =>
    await loadNetworkConfig(`${dir}/${folder}`, format);
  const text: TextConfig = there.has("bert")
    ? { kind: "bert", config: await read("bert", bertFormat) }
    : { kind: "clip", config: await read("text_encoder", textEncoderFormat) };
  return {
    vae: await read(there.has("vqvae") ? "vqvae" : "vae", autoencoderFormat),
    text,
    unet: await read("unet", unetFormat),
    controlnet: there.has("controlnet") ? await read("controlnet", controlnetFormat) : null,
    tokens: text.config.max_position_embeddings,
    ...(there.has("scheduler") && { timesteps: (await read("scheduler", scheduleFormat)).num_train_timesteps }),
  };
}

/**
 * The configuration of a detector, there or to be made.
 *
 * @throws {Deno.errors.NotFound} If nothing is known of it yet.
 */
export async function detectorOf(detector: ArtifactRef): Promise<DetectorConfig> {
  const expected = await expectation(detector, "detector");
  if (expected) return expected as DetectorConfig;
  await Deno.stat(detector.dir);
  return await readDetectorConfig(detector.dir);
}

/**
 * Side of a dataset's images, there or to be made.
 *
 * @throws {Deno.errors.NotFound} If nothing is known of it yet.
 */
export async function sizeOf(data: readonly ArtifactRef[]): Promise<number> {
  const first = firstOf(data);
  const expected = await expectation(first, "size_px");
  return typeof expected === "number" ? expected : (await openDataset(first.dir)).size_px;
}

/** Schema of a dataset's landmarks, there or to be made; the default one if nothing is known of it yet. */
export async function schemaNameOf(data: readonly ArtifactRef[]): Promise<SchemaName> {
  const first = firstOf(data);
  const expected = await expectation(first, "schema");
  if (expected) return expected as SchemaName;
  return await isDataset(first.dir) ? (await openDataset(first.dir)).schema.name : DEFAULT_SCHEMA;
}

/** The first of datasets that are used as one. */
function firstOf([first]: readonly ArtifactRef[]): ArtifactRef {
  if (!first) throw new Deno.errors.NotFound("Cannot describe the images: no dataset is given");
  return first;
}

/**
 * Side of a dataset's images and schema of its landmarks, which datasets made from it have too.
 *
 * @throws {Deno.errors.NotFound} If nothing is known of it yet.
 */
export async function datasetInfo(data: readonly ArtifactRef[]): Promise<{ size_px: number; schema: SchemaName }> {
  return { size_px: await sizeOf(data), schema: await schemaNameOf(data) };
}

/**
 * The ControlNet of a model, or one as it may have: with the hint channels wanted, if these bring images to the size of
 * the latents. A model that another stage is yet to train may have them from there.
 */
export function expectedControlnet({ vae, unet, controlnet }: Networks, wanted?: readonly number[]): ControlNetConfig {
  const levels = vae.block_out_channels.length;
  const defaults = [16, 32, 96, ...Array<number>(levels).fill(256)].slice(0, levels);
  const channels = wanted?.length === levels ? [...wanted] : defaults;
  return controlnet ?? controlnetConfigFor(unet, { conditioning_embedding_out_channels: channels });
}

/**
 * Cache of finished stages: a stage's folder is up to date as long as its manifest's key is that of the stage as it is now.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { readError } from "../../formats/disk_error.ts";
import { CORRECTIONS, correctionsVersion } from "../../formats/corrections.ts";
import { exists, isMissing, readingSync, readTextIfExists } from "../../formats/files.ts";
import { counted } from "../../formats/numbers.ts";
import { oldNames, renamedHint } from "../../formats/renamed.ts";
import type { Pipeline, PipelineStage } from "../pipeline/file.ts";
import { lookUp } from "../../engine/lookup.ts";
import type { TunedKernels } from "../../engine/tuning/tuning_cache.ts";
import type { Field } from "../stage.ts";

/** Everything that decides what a stage makes; its hash is the stage's key. */
export interface Recipe {
  /** Id of the stage type. */
  readonly uses: string;
  /** Version of the stage type. */
  readonly version: number;
  /** The stage's own seed. */
  readonly seed: number;
  /** Options with defaults filled in. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Keys of the stages behind each input, by input and stage id. */
  readonly inputs: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Hashes of what is read from outside the run, by path. */
  readonly files: Readonly<Record<string, string>>;
}

/** Record of a finished artifact, `manifest.json`. */
export interface Manifest {
  /** Name of the pipeline. */
  readonly pipeline: string;
  /** Id of the stage. */
  readonly stage: string;
  /** Kind of the artifact. */
  readonly kind: string;
  /** Hash of the recipe. */
  readonly key: string;
  /** Recipe that made it. */
  readonly recipe: Recipe;
  /** Origin of each option, see {@link PipelineStage.origins}. */
  readonly origins: Readonly<Record<string, string>>;
  /** The GPU, or null if the stage used none. */
  readonly adapter: string | null;
  /** Tuned kernels that it ran, if any: `run --tune=` this file runs the same again. */
  readonly tuned?: TunedKernels;
  /** Version of Deno. */
  readonly deno: string;
  /** Date and time, ISO 8601. */
  readonly finished: string;
  /** Time of all attempts together. */
  readonly seconds: number;
  /** Contents of the folder at the end. */
  readonly output: Contents;
  /** Rows for the results. */
  readonly summary: readonly Readonly<Record<string, Field>>[];
  /** Lines that the stage printed. */
  readonly log: readonly string[];
}

/** Contents of a folder; one with other contents was changed since. */
export interface Contents {
  /** Number of files, in all folders below. */
  readonly files: number;
  /** Size of all files together. */
  readonly bytes: number;
  /** Hash of the list of the files, `manifest.files.jsonl`; folders of earlier versions have none. */
  readonly list?: string;
}

/** A stage, its key, and whether its folder is good. */
export interface StageState {
  /** The stage. */
  readonly stage: PipelineStage;
  /** Hash of the recipe. */
  readonly key: string;
  /** Recipe of the artifact. */
  readonly recipe: Recipe;
  /** The finished folder. */
  readonly dir: string;
  /** The manifest of the finished folder, whether or not its key is still right. */
  readonly manifest: Manifest | undefined;
  /** Null when up to date, else why not. */
  readonly reason: string | null;
}

/** The state of every stage of a pipeline, in order. Reads only. */
export function stageStates(pipeline: Pipeline, root: string): StageState[] {
  const states = new Map<string, StageState>();
  const hashes = new Map<string, string>();
  const hashOnce = (path: string) => {
    const hash = hashes.get(path) ?? hashPath(path);
    hashes.set(path, hash);
    return hash;
  };
  const stateOf = (id: string) => lookUp(states, id, "states of the stages");
  for (const stage of pipeline.stages) {
    const keyed = (ids: readonly string[]) => Object.fromEntries(ids.map((id) => [id, versionOf(stateOf(id))]));
    const recipe: Recipe = {
      uses: stage.spec.id,
      version: stage.spec.version,
      seed: stageSeed(stage.seed, stage.stream),
      options: stage.options,
      inputs: Object.fromEntries(Object.entries(stage.inputs).map(([name, ids]) => [name, keyed(ids)])),
      files: Object.fromEntries(stage.files.map((path) => [path, hashOnce(path)])),
    };
    const key = digest(canonical(recipe));
    const dir = join(root, pipeline.name, stage.id);
    const manifest = readManifest(dir);
    const stale = stage.needs.find((id) => stateOf(id).reason !== null);
    let reason = whyNot(manifest, key, recipe, dir);
    if (reason === null && stale !== undefined) reason = `stage "${stale}" is not up to date`;
    states.set(stage.id, { stage, key, recipe, dir, manifest, reason });
  }
  return [...states.values()];
}

/**
 * Key of a stage's artifact for the stages that read it: that of its recipe, and of the corrections by hand in its folder.
 * The stage itself is up to date with and without them.
 */
function versionOf({ key, dir }: Pick<StageState, "key" | "dir">): string {
  const corrections = correctionsVersion(dir);
  return corrections === undefined ? key : digest(`${key} ${corrections}`);
}

const manifestSchema = z.looseObject({
  key: z.string(),
  kind: z.string(),
  recipe: z.looseObject({
    uses: z.string(),
    options: z.record(z.string(), z.unknown()),
    inputs: z.record(z.string(), z.record(z.string(), z.string())),
    files: z.record(z.string(), z.string()),
  }),
  seconds: z.number(),
  output: z.object({ files: z.number(), bytes: z.number(), list: z.string().optional() }),
  summary: z.array(z.record(z.string(), z.unknown())),
});

/** Reads a finished folder's manifest; undefined if there is none or it is broken. */
export function readManifest(dir: string): Manifest | undefined {
  try {
    const json = JSON.parse(Deno.readTextFileSync(join(dir, "manifest.json")));
    return manifestSchema.safeParse(json).success ? json : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function whyNot(manifest: Manifest | undefined, key: string, recipe: Recipe, dir: string): string | null {
  if (!manifest) {
    const old = oldNames(basename(dir)).find((name) => exists(join(dirname(dir), name)));
    return `it has not been run${
      old === undefined ? "" : `; ${renamedHint(old, [basename(dir)])}, and the old folder is not used`
    }`;
  }
  if (manifest.key !== key) return difference(manifest.recipe, recipe);
  const change = changeOf(dir, manifest.output);
  return change && `its folder was changed: ${change}`;
}

/** The most differences that are reported. */
const MOST = 3;

/** Describes the differences of two recipes. */
function difference(old: Recipe, now: Recipe): string {
  if (old.uses !== now.uses) return `it used ${old.uses}, now ${now.uses}`;
  const changes: string[] = [];
  if (old.version !== now.version) changes.push(`${now.uses} has a new version`);
  if (old.seed !== now.seed) changes.push("the seed changed");
  for (const key of Object.keys(old.options)) {
    const hint = key in now.options ? undefined : renamedHint(key, Object.keys(now.options));
    if (hint) changes.push(`of its options ${hint}`);
  }
  for (const key of new Set([...Object.keys(old.options), ...Object.keys(now.options)])) {
    const [was, is] = [canonical(old.options[key]), canonical(now.options[key])];
    if (was !== is) changes.push(`option "${key}" was ${short(was)}, now ${short(is)}`);
  }
  for (const key of new Set([...Object.keys(old.files), ...Object.keys(now.files)])) {
    if (old.files[key] !== now.files[key]) changes.push(`${key} changed`);
  }
  const flat = (recipe: Recipe) =>
    Object.fromEntries(
      Object.entries(recipe.inputs).flatMap(([name, ids]) =>
        Object.entries(ids).map(([id, key]) => [`input "${name}" from stage "${id}"`, key])
      ),
    );
  const [was, is] = [flat(old), flat(now)];
  for (const name of new Set([...Object.keys(was), ...Object.keys(is)])) {
    if (was[name] !== is[name]) changes.push(`${name} changed`);
  }
  const more = changes.length > MOST ? `; ${changes.length - MOST} more` : "";
  return changes.slice(0, MOST).join("; ") + more || "its recipe changed";
}

const short = (text: string) => text.length > 60 ? `${text.slice(0, 57)}...` : text;

/** A stage's seed: 32 bits from the pipeline's seed and the stage's stream, so that a new stage shifts no other. */
function stageSeed(seed: number, stream: string): number {
  return parseInt(digest(`${seed} ${stream}`).slice(0, 8), 16);
}

/** The list of a finished folder's files. */
const LIST = "manifest.files.jsonl";

/** A line of it; the time of the last change in milliseconds. */
type ListedFile = readonly [name: string, size: number, time: number, hash: string];

/** Files of a stage's folder, the manifest, the list and corrections by hand aside. */
function filesOf(dir: string) {
  return listing(dir).filter(({ name }) => name !== "manifest.json" && name !== LIST && !name.startsWith(CORRECTIONS));
}

/** Writes the list of a folder's files into it; returns the part for the manifest. */
export function listFiles(dir: string): Contents {
  const files = filesOf(dir).sort((a, b) => a.name < b.name ? -1 : 1);
  const lines = files.map(({ name, size, time }) => {
    const file: ListedFile = [name, size, time, hashFile(join(dir, name))];
    return `${JSON.stringify(file)}\n`;
  });
  Deno.writeTextFileSync(join(dir, LIST), lines.join(""));
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  return { files: files.length, bytes, list: digest(lines.join("")) };
}

/**
 * Finds a change of a folder, null if there is none. Files are read only if their time is another one: one that was
 * changed without that goes unseen.
 */
function changeOf(dir: string, then: Contents): string | null {
  const now = new Map(filesOf(dir).map((file) => [file.name, file]));
  let bytes = 0;
  for (const { size } of now.values()) bytes += size;
  const sizes = now.size === then.files && bytes === then.bytes
    ? null
    : `${counted(now.size, "file")} of ${bytes} bytes, not ${then.files} of ${then.bytes}`;
  if (then.list === undefined) return sizes;
  const text = readTextIfExists(join(dir, LIST));
  if (text === undefined || digest(text) !== then.list) return sizes ?? `${LIST} is not as it was`;
  const listed = text.split("\n").slice(0, -1).map((line): ListedFile => JSON.parse(line));
  for (const [name, size, time, hash] of listed) {
    const file = now.get(name);
    if (!file) return `${name} is missing`;
    if (file.size !== size) return `${name} has ${file.size} bytes, not ${size}`;
    if (file.time !== time && hashFile(join(dir, name)) !== hash) return `${name} has other bytes`;
    now.delete(name);
  }
  const [extra] = now.keys();
  return extra === undefined ? null : `${extra} is new`;
}

function hashFile(path: string): string {
  const hash = createHash("sha256");
  using file = Deno.openSync(path);
  const piece = new Uint8Array(1 << 20);
  for (let read; (read = file.readSync(piece)) !== null;) hash.update(piece.subarray(0, read));
  return hash.digest("hex").slice(0, 32);
}

/** Content hash of a file; of a folder, the hash of its files' names, sizes and times, as it may hold gigabytes. */
function hashPath(path: string): string {
  let info: Deno.FileInfo;
  try {
    info = Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "missing";
    throw readError(error, path);
  }
  if (info.isFile) return digest(readingSync(path, () => Deno.readFileSync(path)));
  // Corrections count by what they change: opening and closing them changes nothing.
  const files = listing(path).filter(({ name }) => !name.startsWith(CORRECTIONS))
    .map(({ name, size, time }) => `${name} ${size} ${time}`);
  const corrections = correctionsVersion(path);
  return digest(files.sort().join("\n") + (corrections === undefined ? "" : `\n${corrections}`));
}

function listing(dir: string, prefix = ""): { name: string; size: number; time: number }[] {
  const out = [];
  for (const { name } of readingSync(dir, () => [...Deno.readDirSync(dir)])) {
    const info = statAt(join(dir, name));
    if (info.isDirectory) out.push(...listing(join(dir, name), `${prefix}${name}/`));
    else out.push({ name: prefix + name, size: info.size, time: info.mtime?.getTime() ?? 0 });
  }
  return out;
}

/** Facts about the file at a path; of a broken link those of the link itself, as its reader will name it. */
function statAt(path: string): Deno.FileInfo {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (!isMissing(error)) throw readError(error, path);
    return Deno.lstatSync(path);
  }
}

function digest(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/** JSON with sorted keys. */
function canonical(value: unknown): string {
  const sorted = (_: string, item: unknown) =>
    item && typeof item === "object" && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => a < b ? -1 : 1))
      : item;
  return JSON.stringify(value, sorted) ?? "unset";
}

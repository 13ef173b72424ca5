/**
 * The page on which faces are corrected, as `correct` serves it.
 *
 * @module
 */
import type { LandmarkSchema } from "../faces/schema.ts";
import { CORRECTIONS } from "../formats/corrections.ts";
import { InputError } from "../formats/input_error.ts";
import { counted } from "../formats/numbers.ts";
import { NoAdapterError } from "../engine/device.ts";
import { type Detector, loadDetector, readDetectorConfig } from "../models/detectors/detector.ts";
import { readErrors } from "../models/detectors/errors.ts";
import { type Finder, loadFinder } from "../models/finder/finder.ts";
import type { Adaptation } from "./_correct_adapt.ts";
import { compareNames, Comparison, detectorSide, folderSide, isDetector } from "./_correct_compare.ts";
import { Guesser } from "./_correct_guesser.ts";
import { Journal } from "./_correct_journal.ts";
import { CorrectServer } from "./_correct_server.ts";
import type { FaceSource } from "./_correct_source.ts";
import { LazyDevice } from "./_device.ts";
import { HOST, keptToken, serveUntilStopped } from "./_local_server.ts";
import { type Context, SHIPPED_DETECTOR, SHIPPED_FINDER } from "./command.ts";

/** Options of {@linkcode serveFaces}. */
export interface ServeFacesOptions {
  /** Folder of the detector that guesses; false for no guesses. */
  readonly detector: string | boolean;
  /** Two names with a comma between them, see {@linkcode compareNames}. */
  readonly compare?: string | undefined;
  /** GPU to compute on; by default the first one. */
  readonly gpu?: string | undefined;
  /** Port to listen on, 0 for any that is free. */
  readonly port: number;
}

/**
 * Serves the page until Ctrl-C.
 *
 * @param source The faces.
 * @param adaptation Fits a detector to those that are corrected.
 * @throws {InputError} If a detector or a folder of faces cannot be read, or the port is in use.
 */
export async function serveFaces(
  source: FaceSource,
  adaptation: Adaptation,
  options: ServeFacesOptions,
  context: Context,
): Promise<void> {
  const { dir, schema } = source;
  const compared = options.compare === undefined ? undefined : compareNames(options.compare);
  using journal = Journal.open(source);
  await using device = new LazyDevice(options.gpu, context.note);
  using loaded = new DisposableStack();
  const load = async (dir: string) => await loadDetector(await device.open(), dir, { batch: 1 });
  let finder: Promise<Finder> | undefined;
  const find = () => finder ??= device.open().then(async (gpu) => loaded.use(await loadFinder(gpu, SHIPPED_FINDER)));
  const { guesser, reason } = await guesserFor(options.detector, schema, load, find);
  if (!guesser && options.detector) context.note(`note: there are no guesses: ${reason}`);
  const side = async (dir: string) =>
    isDetector(dir)
      ? detectorSide(dir, new Guesser(loaded.use(await load(dir)), schema))
      : await folderSide(dir, source);
  const comparison = compared && new Comparison([await side(compared[0]), await side(compared[1])], schema);
  const errors = await errorsFor(options.detector, schema);
  const token = keptToken(`${dir}/${CORRECTIONS}.secret`);
  await using server = new CorrectServer({
    source,
    journal,
    guesser,
    reason,
    comparison,
    adaptation,
    load: async (dir) => new Guesser(await load(dir), schema, find),
    errors,
    token,
  });
  await serveUntilStopped(server, options.port, (port) => {
    const count = journal.faces.keys().filter((k) => !journal.isAbsent(k)).toArray().length;
    context.print(`http://${HOST}:${port}/${token}/ has the ${counted(count, "face")} of ${dir}; Ctrl-C stops`);
    void server.fillList();
  });
}

/** Loads the detector that guesses; or the reason that there is none. */
async function guesserFor(
  dir: string | boolean,
  schema: LandmarkSchema,
  load: (dir: string) => Promise<Detector>,
  find: () => Promise<Finder>,
): Promise<{ readonly guesser?: Guesser; readonly reason?: string }> {
  if (typeof dir !== "string") return { reason: "it was started with --no-detector" };
  let detector: Detector;
  try {
    detector = await load(dir);
  } catch (error) {
    if (!(error instanceof NoAdapterError)) throw error;
    return { reason: "there is neither a GPU nor a software driver" };
  }
  try {
    return { guesser: new Guesser(detector, schema, find) };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    detector.destroy();
    return { reason: error.message };
  }
}

/** Covariance of the errors of a detector or, as detectors err alike, of the one that ships; undefined for other landmarks. */
async function errorsFor(dir: string | boolean, schema: LandmarkSchema): Promise<Float32Array | undefined> {
  for (const one of [dir, SHIPPED_DETECTOR]) {
    if (typeof one !== "string" || (await readDetectorConfig(one)).schema !== schema.name) continue;
    const errors = await readErrors(one, schema);
    if (errors) return errors;
  }
  return undefined;
}

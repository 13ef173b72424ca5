/**
 * The command `correct`: pages on which a person corrects landmarks, or writes styles and edits.
 *
 * @module
 */
import { Command, Option } from "@commander-js/extra-typings";
import { EXPORT_NAMES, FORMAT_NAMES } from "../faces/data/annotations/registry.ts";
import type { Origin } from "../faces/pts.ts";
import { type LandmarkSchema, schemaName } from "../faces/schema.ts";
import { CORRECTIONS } from "../formats/corrections.ts";
import { InputError } from "../formats/input_error.ts";
import { counted } from "../formats/numbers.ts";
import { NoAdapterError } from "../engine/device.ts";
import { type Detector, loadDetector, readDetectorConfig } from "../models/detectors/detector.ts";
import { readErrors } from "../models/detectors/errors.ts";
import { type Finder, loadFinder } from "../models/finder/finder.ts";
import { ADAPT_PIPELINE, Adaptation } from "./_correct_adapt.ts";
import { compareNames, Comparison, detectorSide, folderSide, isDetector } from "./_correct_compare.ts";
import { Guesser } from "./_correct_guesser.ts";
import { Journal, setAside } from "./_correct_journal.ts";
import { exportCorrected, saveCorrected } from "./_correct_save.ts";
import { CorrectServer } from "./_correct_server.ts";
import { openSource } from "./_correct_source.ts";
import { gpuOption, LazyDevice } from "./_device.ts";
import { HOST, keptToken, serveLocally } from "./_local_server.ts";
import { pipelineAt, setOption } from "./_pipeline.ts";
import { findRecipes } from "./_recipe_files.ts";
import { serveRecipes } from "./_recipe_serve.ts";
import { type Context, Exit, number, SHIPPED_DETECTOR, SHIPPED_FINDER, UsageError } from "./command.ts";

const PORT = 8788, SAVED_PX = 256;

/** Declares `correct`. */
export const correct = (context: Context) =>
  new Command()
    .argument(
      "<PATH>",
      "a dataset, a folder of images with landmarks, the --out folder of detect, or styles or edits: a folder or a file",
    )
    .addOption(
      new Option("--format <NAME>", "format of the landmarks of a folder of images; pts unless given").choices(
        FORMAT_NAMES,
      ),
    )
    .option("--annotations <FILE>", "the one file of formats that have one file for all images")
    .addOption(
      new Option("--schema <NAME>", "schema of the landmarks; ibug68 unless given").choices(schemaName.options),
    )
    .addOption(
      new Option("--origin <NUMBER>", "coordinate of the centre of the first pixel; by default that of the format")
        .choices(["0", "0.5", "1"]),
    )
    .option("--review <DIR>", "what dataset/review found of the dataset; by default its own, if it is the review's")
    .addOption(
      new Option("--detector <DIR>", "folder of the detector that guesses").default(SHIPPED_DETECTOR, "models/faces"),
    )
    .option("--no-detector", "no guesses: nothing is computed")
    .option(
      "--compare <A,B>",
      "two detectors beside the landmarks: folders of detectors, of results of detect, or of other datasets of the pictures",
    )
    .addOption(gpuOption())
    .addOption(
      new Option("--port <NUMBER>", "port to listen on, 0 for any that is free").argParser(
        number("a whole number from 0 to 65535", (port) => Number.isInteger(port) && port >= 0 && port <= 65535),
      ).default(PORT),
    )
    .option("--save <OUT>", "write the faces that were accepted or corrected as a dataset of crops, and stop")
    .addOption(
      new Option(
        "--as <FORMAT>",
        "with --save: write whole pictures instead, with all faces that were not rejected in the pictures' own coordinates",
      ).choices(EXPORT_NAMES).conflicts("size"),
    )
    .addOption(
      new Option("--size <PX>", `side of the crops of --save; ${SAVED_PX} unless given`).argParser(
        number("a whole number from 8 to 2048", (px) => Number.isInteger(px) && px >= 8 && px <= 2048),
      ),
    )
    .option(
      "--adapt",
      "fit a detector to the faces that were accepted or corrected, as the page's Adapt does, and stop",
    )
    .addOption(
      new Option("--pipeline <FILE>", "pipeline that fits it").default(ADAPT_PIPELINE, "pipelines/adapt.yaml"),
    )
    .addOption(setOption())
    .option("--undo-all", "set all corrections of the folder aside, and stop")
    .addHelpText("after", "\nExample:\n  deno task correct found")
    .action(async (dir, options) => {
      const recipes = await findRecipes(dir);
      if (recipes) return await serveRecipes(recipes, options, context);
      if (options.undoAll) return undoAll(dir, context);
      const { format, annotations, schema, origin, review } = options;
      const source = await openSource(dir, {
        format,
        annotations,
        schema,
        review,
        origin: origin === undefined ? undefined : Number(origin) as Origin,
      });
      if (options.as !== undefined && options.save === undefined) {
        throw new UsageError("Cannot use --as without --save");
      }
      if (options.save !== undefined && options.as !== undefined) {
        const { images, faces } = await exportCorrected(source, options.save, options.as);
        return context.print(
          `${counted(images, "picture")} with ${counted(faces, "face")} as ${options.as}: ${options.save}`,
        );
      }
      if (options.save !== undefined) {
        const count = await saveCorrected(source, options.save, options.size ?? SAVED_PX);
        return context.print(
          `${
            counted(count, "face")
          } of ${dir}: ${options.save}; next: deno task run pipelines/adapt.yaml --set folder=${options.save}`,
        );
      }
      await using adaptation = new Adaptation({
        source,
        file: options.pipeline,
        set: options.set ?? [],
        gpu: options.gpu,
        read: () => pipelineAt(options.pipeline, options, context, { allowUnset: true }),
      });
      if (options.adapt) return await adapt(adaptation, context);
      // Mistakes of the command are told now, not on the page.
      if (options.set || options.pipeline !== ADAPT_PIPELINE) await adaptation.state();
      const compared = options.compare === undefined ? undefined : compareNames(options.compare);
      using journal = Journal.open(source);
      const stop = new AbortController();
      await using device = new LazyDevice(options.gpu, context.note);
      const load = async (dir: string) => await loadDetector(await device.open(), dir, { batch: 1 });
      using loaded = new DisposableStack();
      let finder: Promise<Finder> | undefined;
      const find = () =>
        finder ??= device.open().then(async (gpu) => loaded.use(await loadFinder(gpu, SHIPPED_FINDER)));
      const { guesser, reason } = await guesserFor(options.detector, source.schema, load, find);
      if (!guesser && options.detector) context.note(`note: there are no guesses: ${reason}`);
      const side = async (dir: string) => {
        if (!isDetector(dir)) return await folderSide(dir, source);
        return detectorSide(dir, new Guesser(loaded.use(await load(dir)), source.schema));
      };
      const comparison = compared && new Comparison([await side(compared[0]), await side(compared[1])], source.schema);
      const errors = await errorsFor(options.detector, source.schema);
      const token = keptToken(`${dir}/${CORRECTIONS}.secret`);
      await using server = new CorrectServer({
        source,
        journal,
        guesser,
        reason,
        comparison,
        adaptation,
        load: async (dir) => new Guesser(await load(dir), source.schema, find),
        errors,
        token,
      });
      const http = serveLocally(server, options.port, stop.signal);
      const end = () => stop.abort();
      for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, end);
      const count = journal.faces.keys().filter((k) => !journal.isAbsent(k)).toArray().length;
      context.print(
        `http://${HOST}:${http.addr.port}/${token}/ has the ${counted(count, "face")} of ${dir}; Ctrl-C stops`,
      );
      void server.fillList();
      await http.finished;
      for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.removeSignalListener(signal, end);
    });

/** Loads the detector that guesses, or says why there is none. */
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
    return { reason: "there is no GPU, nor a driver that does without" };
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

/** Fits a detector to the corrected faces, on the terminal. */
async function adapt(adaptation: Adaptation, { print }: Context): Promise<void> {
  const code = await adaptation.runHere();
  if (code !== 0) throw new Exit(code);
  const { weights } = await adaptation.state();
  print(`weights: ${weights}; next: deno task detect PICTURES --out FOUND --detector ${weights} --flip`);
}

function undoAll(dir: string, { print }: Context): void {
  const aside = setAside(dir);
  print(
    aside
      ? `the corrections of ${counted(aside.faces, "face")} are set aside in ${aside.path}`
      : `${dir} has no corrections`,
  );
}

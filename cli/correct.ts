/**
 * The command `correct`: pages on which a person corrects landmarks, or writes styles and edits.
 *
 * @module
 */
import { Command, Option } from "@commander-js/extra-typings";
import { EXPORT_NAMES, FORMAT_NAMES, type FormatName } from "../faces/data/annotations/registry.ts";
import type { Origin } from "../faces/pts.ts";
import { schemaName } from "../faces/schema.ts";
import { counted } from "../formats/numbers.ts";
import { ADAPT_PIPELINE, Adaptation } from "./_correct_adapt.ts";
import { setAside } from "./_correct_journal.ts";
import { exportCorrected, saveCorrected } from "./_correct_save.ts";
import { serveFaces, type ServeFacesOptions } from "./_correct_serve.ts";
import { type FaceSource, openSource, type SourceOptions } from "./_correct_source.ts";
import { gpuOption } from "./_device.ts";
import { portOption } from "./_local_server.ts";
import { pipelineAt, setOption } from "./_pipeline.ts";
import { findRecipes } from "./_recipe_files.ts";
import { serveRecipes } from "./_recipe_serve.ts";
import { type Context, Exit, number, SHIPPED_DETECTOR, UsageError } from "./command.ts";

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
    .option(
      "--review <DIR>",
      "folder of a stage dataset/review whose findings are shown; by default the dataset's own, if it has any",
    )
    .addOption(
      new Option("--detector <DIR>", "folder of the detector that guesses").default(SHIPPED_DETECTOR, "models/faces"),
    )
    .option("--no-detector", "no guesses: nothing is computed")
    .option(
      "--compare <A,B>",
      "two detectors beside the landmarks: folders of detectors, of results of detect, or of other datasets of the pictures",
    )
    .addOption(gpuOption())
    .addOption(portOption(PORT))
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
    .action((dir, options) => correctAt(dir, options, context));

interface CorrectCommandOptions extends Omit<SourceOptions, "origin">, SaveOptions, ServeFacesOptions {
  readonly origin?: "0" | "0.5" | "1" | undefined;
  readonly save?: string | undefined;
  readonly adapt?: boolean | undefined;
  readonly pipeline: string;
  readonly set?: readonly string[] | undefined;
  readonly undoAll?: boolean | undefined;
}

async function correctAt(dir: string, options: CorrectCommandOptions, context: Context): Promise<void> {
  const recipes = await findRecipes(dir);
  if (recipes) return await serveRecipes(recipes, options, context);
  if (options.undoAll) return undoAll(dir, context);
  const { format, annotations, schema, review, save, as } = options;
  const origin = options.origin === undefined ? undefined : Number(options.origin) as Origin;
  const source = await openSource(dir, { format, annotations, schema, review, origin });
  if (as !== undefined && save === undefined) throw new UsageError("Cannot use --as without --save");
  if (save !== undefined) return await saveFaces(source, save, options, context);
  await using adaptation = new Adaptation({
    source,
    file: options.pipeline,
    set: options.set ?? [],
    gpu: options.gpu,
    read: () => pipelineAt(options.pipeline, options, context, { allowUnset: true }),
  });
  if (options.adapt) return await adapt(adaptation, context);
  // Reads the pipeline, so that a mistake in these options ends the command and is not left to the page.
  if (options.set || options.pipeline !== ADAPT_PIPELINE) await adaptation.state();
  await serveFaces(source, adaptation, options, context);
}

interface SaveOptions {
  readonly as?: FormatName | undefined;
  readonly size?: number | undefined;
}

/** Writes the corrected faces: as a dataset of crops, or with `as` as whole pictures in another tool's format. */
async function saveFaces(
  source: FaceSource,
  out: string,
  { as, size = SAVED_PX }: SaveOptions,
  { print }: Context,
): Promise<void> {
  if (as !== undefined) {
    const { images, faces } = await exportCorrected(source, out, as);
    return print(`${counted(images, "picture")} with ${counted(faces, "face")} as ${as}: ${out}`);
  }
  const count = await saveCorrected(source, out, size);
  print(
    `${counted(count, "face")} of ${source.dir}: ${out}; ` +
      `next: deno task run pipelines/adapt.yaml --set folder=${out}`,
  );
}

/** Fits a detector to the corrected faces; the run prints to the terminal. */
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

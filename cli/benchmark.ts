/**
 * The command `benchmark`: detectors on several folders, as papers measure them, and the tables of pages.
 *
 * @module
 */
import { Command, Option } from "@commander-js/extra-typings";
import { join } from "node:path";
import { exists, makeFolder, readText, writeFile } from "../formats/files.ts";
import { counted } from "../formats/numbers.ts";
import { formatTable } from "../runtime/run/progress.ts";
import {
  addResults,
  joinResults,
  noResults,
  type Results,
  resultsFile,
  writeCed,
  writeResults,
} from "../stages/report/_results.ts";
import { fillPage, marksOf, namesOf, TABLE_NAMES } from "./_pages.ts";
import { gpuOption, LazyDevice } from "./_device.ts";
import { openData, orUsageError, scoreTool } from "./_measure.ts";
import { collect, type Context, UsageError } from "./command.ts";
import {
  cropOption,
  type DataOptions,
  detectorOption,
  flipOption,
  type MeasureOptions,
  namedFolder,
  originOption,
  predictedOption,
  schemaOption,
  type Tool,
  type ToolOptions,
  toolsOf,
} from "./_score_options.ts";

/** The measures of papers: by the outer eye corners, failures and areas at 10 and 8 %. */
const PAPERS = { normaliser: "interocular", thresholds: [10, 8] } as const;

/**
 * Declares `benchmark`: `score` for several folders, by the measures of papers.
 *
 * A page has the place of each table marked by `<!-- benchmark: TABLE -->` and `<!-- /benchmark -->`, see
 * {@linkcode fillPage}.
 */
export const benchmark = (context: Context) =>
  new Command()
    .addOption(detectorOption())
    .addOption(predictedOption())
    .addOption(
      new Option("--data <[NAME=]DIR>", "a dataset, or a folder of images with .pts files; may be given several times")
        .argParser<string[] | undefined>(collect),
    )
    .addOption(
      new Option(
        "--exclude <NAME>",
        "names of images of folders to leave out, with * and ?; may be given several times",
      )
        .argParser<string[] | undefined>(collect),
    )
    .addOption(originOption())
    .addOption(schemaOption())
    .addOption(cropOption())
    .addOption(gpuOption())
    .addOption(flipOption())
    .addOption(
      new Option(
        "--results <FILE>",
        "results.json of an earlier --out or of a stage detector/evaluate, or published figures in its form, beside or " +
          "instead of --data; may be given several times",
      ).argParser<string[] | undefined>(collect),
    )
    .addOption(
      new Option("--page <FILE>", "a Markdown page whose tables are rewritten; may be given several times")
        .argParser<string[] | undefined>(collect),
    )
    .option("--out <DIR>", "write results.json and error curves as DATA_ced.svg and DATA_ced.png to this folder")
    .addHelpText(
      "after",
      `
A page marks the place of a table, ${TABLE_NAMES.join(", ")}, and may choose:
  <!-- benchmark: overall detector=faces,tiny data=art -->
  <!-- /benchmark -->

Example:
  deno task benchmark --detector tiny=models/tiny/detector --data art=DIR --data photos=DIR --flip --page docs/results.md`,
    )
    .action((options) => orUsageError(() => run(options, context)));

interface BenchmarkOptions extends ToolOptions, DataOptions, Pick<MeasureOptions, "crop" | "flip" | "gpu"> {
  readonly data?: readonly string[] | undefined;
  readonly results?: readonly string[] | undefined;
  readonly page?: readonly string[] | undefined;
  readonly out?: string | undefined;
}

async function run(options: BenchmarkOptions, { print, note }: Context): Promise<void> {
  const { results: files = [], page: pages = [], out } = options;
  const texts = await Promise.all(pages.map(async (path) => ({ path, text: await readText(path) })));
  const known = await Promise.all(files.map(readResults));
  const measured = files.length && !options.data ? noResults() : await measure(options, texts, known, note);
  const results = joinResults([...known, measured]);
  const filled = texts.map(({ path, text }) => ({ path, text: fillPage(text, results, path) }));
  print(formatTable(results.rows.filter(({ dataset }) => !String(dataset).includes("/"))));
  if (out !== undefined) {
    await makeFolder(out);
    await writeResults(out, results);
    for (const dataset of new Set(results.ced.map(({ dataset }) => dataset))) {
      await writeCed(join(out, `${dataset}_ced`), dataset, results.ced);
    }
  }
  for (const { path, text } of filled) await writeFile(path, text);
}

/** A Markdown page. */
interface Page {
  readonly path: string;
  readonly text: string;
}

async function measure(
  options: BenchmarkOptions,
  pages: readonly Page[],
  known: readonly Results[],
  note: Context["note"],
): Promise<Results> {
  const folders = (options.data ?? []).map(namedFolder);
  if (!folders.length) throw new UsageError("Cannot benchmark without data, hint: --data DIR, or --results FILE");
  const twice = folders.find(({ name }, i) => folders.findIndex((other) => other.name === name) < i);
  if (twice) throw new UsageError(`Cannot use two folders called "${twice.name}", hint: --data NAME=${twice.dir}`);
  const tools = toolsOf(options);
  // Marks that are wrong are found before anything is measured.
  const before = namesOf(joinResults(known));
  const names = {
    detector: [...before.detector, ...tools.map(({ name }) => name)],
    data: [...before.data, ...folders.map(({ name }) => name)],
  };
  for (const { path, text } of pages) marksOf(text, names, path);
  const results = noResults();
  await using gpu = new LazyDevice(options.gpu, note);
  for (const { name, dir } of folders) {
    const data = await openData(dir, options, note);
    for (const tool of tools) {
      const { evaluation } = await scoreTool(forData(tool, name), data, { ...options, ...PAPERS }, gpu);
      note(`${tool.name} on ${name}: ${evaluation.all.nme.toFixed(2)} % on ${counted(evaluation.all.count, "face")}`);
      addResults(results, tool.name, name, evaluation);
    }
  }
  return results;
}

/** A tool's landmarks of one dataset are in a folder of its name, or beside those of others. */
function forData(tool: Tool, data: string): Tool {
  const own = join(tool.dir, data);
  return tool.kind === "predicted" && exists(own) ? { ...tool, dir: own } : tool;
}

async function readResults(file: string): Promise<Results> {
  const { success, data, error } = resultsFile.safeParse(parse(await readText(file), file));
  if (!success) throw new UsageError(`Cannot read ${file} as results: ${error.issues[0]?.message}`);
  if (!data.rows.length) throw new UsageError(`Cannot read ${file} as results: it has no rows`);
  return data;
}

function parse(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`Cannot read ${file} as JSON: ${(error as Error).message}`);
  }
}

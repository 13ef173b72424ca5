/**
 * `report/html`: one self-contained page about a run.
 *
 * It reads of each stage `manifest.json`, `metrics.jsonl`, `results.json` (what `detector/evaluate` writes), the faces of
 * datasets that have a contact sheet, generated pairs, and other images at the top of its folder.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { z } from "zod";
import project from "../../deno.json" with { type: "json" };
import { readTextIfExists } from "../../formats/files.ts";
import { Html, markup, type Part } from "../../formats/html.ts";
import { type Artifact, stage } from "../../runtime/stage.ts";
import { type Manifest, readManifest } from "../../runtime/run/cache.ts";
import { offsetFigures } from "./_offsets.ts";
import { distanceTable } from "./_distances.ts";
import { lineChart, trainingCharts } from "./_line_chart.ts";
import { examples, gallery, imageFigure, imageNames, pairs } from "./_faces.ts";
import { cedOptions, type Results, resultsFile } from "./_results.ts";
import { comparison, headlines, resultTables, type Row } from "./_tables.ts";
import { notes, timing } from "./_timing.ts";
import theme from "../../formats/theme.css" with { type: "text" };
import style from "./report.css" with { type: "text" };

/** The part of a stage's folder that a report shows. */
interface Source extends Artifact {
  readonly manifest: Manifest;
  readonly results: Results;
}

/** See the module. */
export const report = stage({
  id: "report/html",
  doc: "Writes one self-contained page with results, curves, sheets, generated pairs, options and timing.",
  version: 2,
  inputs: { "all*": "any" },
  output: "report",
  options: z.object({
    title: z.string().optional().describe("Heading, by default the pipeline's name"),
    pairs_per_style: z.int().min(0).max(100).default(6).describe(
      "Generated pairs shown per style and per edit",
    ),
  }),
  async run(ctx, { all }, { title, pairs_per_style }) {
    const sources = all.flatMap((artifact): Source[] => {
      const manifest = readManifest(artifact.dir);
      return manifest ? [{ ...artifact, manifest, results: resultsOf(artifact.dir) }] : [];
    });
    const rows = sources.flatMap(({ stage, manifest }) =>
      manifest.summary.filter((row) => "detector" in row).map((row): Row => ({ stage, ...row }))
    );
    const datasets = sources.filter(({ manifest }) => manifest.kind === "dataset");
    const made = await Promise.all(datasets.map((source) => pairs(source, pairs_per_style)));
    const sections: [string, Part][] = [
      ["Results", [headlines(rows), resultTables(rows)]],
      ["Error curves", grid(cedCharts(sources))],
      ["Styles, groups and regions", grid(sources.flatMap(comparisons))],
      ["Distances", grid(sources.flatMap(({ results }) => distanceTable(results.distances) ?? []))],
      ["Best and worst", await Promise.all(sources.map((source) => bestAndWorst(source, datasets)))],
      ["Generated pairs", made],
      [
        "Training",
        grid(
          sources.flatMap(({ dir, stage }) =>
            trainingCharts(stage, readTextIfExists(join(dir, "metrics.jsonl")) ?? "")
          ),
        ),
      ],
      ["Faces", await faces(datasets.filter((_, i) => !made[i]))],
      ["Pictures", sources.map(imageFigures)],
      ["Stages", timing(sources)],
      ["Pipeline", markup`<details><summary>Resolved options</summary><pre>${resolvedYaml(sources)}</pre></details>`],
    ];
    const shown = sections.map(([name, body]) => [name, markup`${body}`] as const).filter(([, body]) =>
      body.text.trim()
    );
    const page = markup`
      <!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8">
          <meta name="viewport" content="width=device-width, initial-scale=1">
          <title>${title ?? ctx.pipeline} - Facewright</title>
          <link rel="icon" href="data:,">
          <style>${new Html(theme + style)}</style>
        </head>
        <body>
          <header>
            <h1>${title ?? ctx.pipeline}</h1>
            <p>${about(sources)}</p>
            <nav>${shown.map(([name]) => markup`<a href="#${anchor(name)}">${name}</a> `)}</nav>
          </header>
          <main>${
      shown.map(([name, body]) => markup`<section id="${anchor(name)}"><h2>${name}</h2>${body}</section>`)
    }</main>
        </body>
      </html>
    `;
    await Deno.writeTextFile(join(ctx.dir, "index.html"), page.text.trimStart());
  },
});

const anchor = (name: string) => name.toLowerCase().replaceAll(" ", "-");

function resultsOf(dir: string): Results {
  const text = readTextIfExists(join(dir, "results.json"));
  const parsed = text === undefined ? undefined : resultsFile.safeParse(JSON.parse(text));
  return parsed?.data ?? resultsFile.parse({});
}

/** Versions, the adapter without the numbers of its maker, and when the last stage was done. */
function about(sources: readonly Source[]): string {
  const adapters = [...new Set(sources.flatMap(({ manifest }) => manifest.adapter ?? []))]
    .map((name) => name.replace(/^\d+ \d+ /, "").replace(/ deno [\d.]+$/, ""));
  const versions = [...new Set(sources.map(({ manifest }) => manifest.deno))].join(", ");
  const last = sources.map(({ manifest }) => manifest.finished).sort().at(-1) ?? new Date().toISOString();
  return [
    `Facewright ${project.version}`,
    `Deno ${versions || Deno.version.deno}`,
    adapters.join("; ") || "no GPU used",
    `${last.slice(0, 16).replace("T", " ")} UTC`,
  ].join(" \u00b7 ");
}

/** A grid of figures, or nothing. */
function grid(figures: readonly Html[]): Part {
  return figures.length ? markup`<div class="grid">${figures}</div>` : undefined;
}

function cedCharts(sources: readonly Source[]): Html[] {
  const curves = sources.flatMap(({ results }) => results.ced);
  return [...Map.groupBy(curves, ({ dataset }) => dataset)].map(([dataset, list]) => {
    const series = list.map(({ detector, x, y }) => ({ name: detector, x, y }));
    return lineChart(series, cedOptions(dataset));
  });
}

/** Errors by style of each dataset that has several, by group, then by region. */
function comparisons({ results }: Source): Html[] {
  const rows = results.rows.map((row): Row => row);
  const measure = Object.keys(rows[0] ?? {}).find((name) => /^nme_(?!low$|high$)/.test(name));
  if (!measure) return [];
  const datasets = rows.map(({ dataset }) => String(dataset)).filter((name) => !name.includes("/"));
  return [...new Set(datasets)].flatMap((dataset) => {
    const styles = rows.filter((row) => String(row["dataset"]).startsWith(`${dataset}/`))
      .map((row) => ({ ...row, name: String(row["dataset"]).slice(dataset.length + 1) }));
    const regions = results.regions.filter((row) => row["dataset"] === dataset).flatMap((
      { detector = null, dataset = null, ...errors },
    ) => Object.entries(errors).map(([name, error]) => ({ name, detector, dataset, [measure]: Number(error) })));
    const groups = results.groups.filter((row) => row["dataset"] === dataset)
      .map((row) => ({ ...row, name: String(row["group"]) }));
    const several = new Set(styles.map(({ name }) => name)).size > 1;
    return [
      ...(several ? [comparison(`${dataset} by style`, styles, measure)] : []),
      ...(groups.length ? [comparison(`${dataset} by group`, groups, measure)] : []),
      ...(regions.length ? [comparison(`${dataset} by region`, regions, measure)] : []),
      ...offsetFigures(dataset, results.offsets.filter((one) => one.dataset === dataset)),
    ];
  });
}

async function bestAndWorst({ results }: Source, datasets: readonly Source[]): Promise<Part> {
  const groups = [...Map.groupBy(results.examples, ({ detector, dataset }) => `${dataset}, ${detector}`)];
  const rows = await Promise.all(groups.map(([title, list]) => {
    const dir = datasets.find(({ stage }) => stage === list[0]!.dataset)?.dir;
    return dir === undefined ? undefined : examples(title, dir, list);
  }));
  if (!rows.some(Boolean)) return undefined;
  return markup`
    <p>What detectors <span class="key found">found</span>, and while you point at or tap a face
    what is <span class="key truth">true</span>.</p>
    <div class="rows">${rows}</div>
  `;
}

/** Faces of datasets that drew a contact sheet. */
async function faces(datasets: readonly Source[]): Promise<Part> {
  const drawn = datasets.filter(({ dir }) => imageNames(dir).length);
  if (!drawn.length) return undefined;
  return markup`
    <p>Point at or tap a face for its landmarks.</p>
    ${await Promise.all(drawn.map((source) => gallery(source, notes(source.manifest))))}
  `;
}

/** Image files of stages whose faces are not shown one by one. */
function imageFigures({ dir, stage, manifest, results }: Source): Part {
  if (manifest.kind === "dataset" || results.examples.length) return undefined;
  return imageNames(dir).map((name) => imageFigure(stage, join(dir, name)));
}

function resolvedYaml(sources: readonly Source[]): string {
  return sources.length ? readTextIfExists(join(dirname(sources[0]!.dir), "pipeline.yaml")) ?? "" : "";
}

/**
 * `report/markup`: one page about a run that needs nothing else, for people and for the archive.
 *
 * It reads of each stage `manifest.json`, `metrics.jsonl`, `results.json` (`{ ced: [{ detector, dataset, x, y }] }`), the
 * images at the top of its folder (contact sheets), and `metadata.jsonl` of generated pairs.
 *
 * @module
 */
import { basename, dirname, extname, join } from "node:path";
import { z } from "zod";
import project from "../deno.json" with { type: "json" };
import { type DatasetRecord, openDataset } from "../faces/dataset.ts";
import { readIfThere } from "../runtime/files.ts";
import { formatField, formatSeconds } from "../runtime/progress.ts";
import { type Artifact, type Field, stage } from "../runtime/stage.ts";
import { type Manifest, readManifest } from "../runtime/stage_cache.ts";
import { Html, markup, type Part } from "../runtime/html.ts";
import { lineChart, trainingChart } from "./_line_chart.ts";
import style from "./report.css" with { type: "text" };

type Row = Readonly<Record<string, Field>>;

/** One stage's folder as far as a report tells of it. */
interface Source extends Artifact {
  readonly manifest: Manifest;
}

const cedFile = z.object({
  ced: z.array(z.object({
    detector: z.string(),
    dataset: z.string(),
    x: z.array(z.number()),
    y: z.array(z.number()),
  })).default([]),
});

/** See the module. */
export const report = stage({
  id: "report/html",
  doc: "Writes one self-contained page with results, curves, sheets, generated pairs, options and timing.",
  version: 1,
  inputs: { "all*": "any" },
  output: "report",
  options: z.object({
    title: z.string().optional().describe("Heading, by default the pipeline's name"),
    pairs_per_style: z.int().min(0).max(100).default(6).describe("Generated pairs shown of each style"),
  }),
  async run(ctx, { all }, { title, pairs_per_style }) {
    const sources = all.flatMap((artifact): Source[] => {
      const manifest = readManifest(artifact.dir);
      return manifest ? [{ ...artifact, manifest }] : [];
    });
    const rows = sources.flatMap(({ stage, manifest }) =>
      manifest.summary.filter((row) => "detector" in row).map((row): Row => ({ stage, ...row }))
    );
    const sections: [string, Part][] = [
      ["Results", results(rows)],
      ["Error curves", cedCharts(sources)],
      ["Generated pairs", await Promise.all(sources.map((source) => pairs(source, pairs_per_style)))],
      ["Contact sheets", sources.map(sheets)],
      [
        "Training",
        grid(sources.flatMap(({ dir, stage }) => trainingChart(stage, readIfThere(join(dir, "metrics.jsonl")) ?? ""))),
      ],
      ["Stages", [timing(sources), sources.map(log)]],
      [
        "Pipeline",
        markup`
          <details>
            <summary>Resolved options</summary>
            <pre>${resolvedYaml(sources)}</pre>
          </details>
        `,
      ],
    ];
    const shown = sections.map(([name, body]) => [name, markup`${body}`] as const).filter(([, body]) =>
      body.text.trim()
    );
    const today = new Date().toISOString().slice(0, 10);
    const page = markup`
      <!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8">
          <meta name="viewport" content="width=device-width, initial-scale=1">
          <title>${title ?? ctx.pipeline} - Facewright</title>
          <style>${new Html(style)}</style>
        </head>
        <body>
          <header>
            <h1>${title ?? ctx.pipeline}</h1>
            <p>Facewright ${project.version}, Deno ${Deno.version.deno}, ${adapters(sources)}, ${today}</p>
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

function adapters(sources: readonly Source[]): string {
  return [...new Set(sources.flatMap(({ manifest }) => manifest.adapter ?? []))].join("; ") || "no GPU used";
}

/** Rows with the same columns make a table; in each dataset the best detector is marked, with its change from the first. */
function results(rows: readonly Row[]): Part {
  const tables = Map.groupBy(rows, (row) => Object.keys(row).join("\t"));
  return [...tables.values()].map((group) => {
    const names = Object.keys(group[0]!);
    const cell = (row: Row, name: string): Html => {
      const value = row[name];
      if (typeof value !== "number") return markup`<td>${formatField(value)}</td>`;
      if (!/^(nme|fr|auc)_/.test(name)) return markup`<td class="number">${formatField(value)}</td>`;
      const rivals = group.filter((other) => other["dataset"] === row["dataset"]).map((other) => Number(other[name]));
      const best = name.startsWith("auc_") ? Math.max(...rivals) : Math.min(...rivals);
      const first = rivals[0]!;
      const change = value !== first && first !== 0 ? ` ${signed(100 * (value - first) / first)} %` : "";
      const mark = rivals.length > 1 && value === best ? "number best" : "number";
      return markup`<td class="${mark}">${formatField(value, name)}<small>${change}</small></td>`;
    };
    return markup`
      <div class="wide results">
        <table>
          <thead>
            <tr>${names.map((name) => heading(group[0]!, name))}</tr>
          </thead>
          <tbody>${group.map((row) => markup`<tr>${names.map((name) => cell(row, name))}</tr>\n`)}</tbody>
        </table>
      </div>
    `;
  });
}

function heading(row: Row, name: string): Html {
  return markup`<th class="${typeof row[name] === "number" ? "number" : ""}">${name.replaceAll("_", " ")}</th>`;
}

const signed = (percent: number) => `${percent > 0 ? "+" : "\u2212"}${Math.abs(percent).toFixed(0)}`;

function cedCharts(sources: readonly Source[]): Part {
  const curves = sources.flatMap(({ dir }) => {
    const text = readIfThere(join(dir, "results.json"));
    const parsed = text === undefined ? undefined : cedFile.safeParse(JSON.parse(text));
    return parsed?.data?.ced ?? [];
  });
  const charts = [...Map.groupBy(curves, ({ dataset }) => dataset)].map(([dataset, list]) => {
    const series = list.map(({ detector, x, y }) => ({ name: detector, x, y }));
    const title = `Share of the images of ${dataset} below an error`;
    return lineChart(series, { title, xLabel: "NME, %", yLabel: "share", yRange: [0, 1] });
  });
  return grid(charts);
}

/** A grid of figures, or nothing. */
function grid(figures: readonly Html[]): Part {
  return figures.length ? markup`<div class="grid">${figures}</div>` : undefined;
}

/** Generated images by style with the landmarks they were made from, shown while pointed at. */
async function pairs({ dir, stage, manifest }: Source, perStyle: number): Promise<Part> {
  if (manifest.kind !== "dataset" || perStyle === 0) return undefined;
  const { records, size_px } = await openDataset(dir);
  const generated = records.filter(({ edits }) => edits !== undefined);
  const styles = [...Map.groupBy(generated, ({ style }) => style)];
  if (!styles.length) return undefined;
  const figure = (record: DatasetRecord) => {
    const url = dataUrl(join(dir, record.file_name));
    const dots = Array.from(
      { length: record.landmarks.length / 2 },
      (_, i) => `M${record.landmarks[2 * i]!.toFixed(1)} ${record.landmarks[2 * i + 1]!.toFixed(1)}h0`,
    );
    const edits = record.edits!.map(({ edit }) => edit).join(", ");
    // Landmarks count from the centre of the first pixel, SVG from its corner.
    return markup`
      <figure class="pair face" tabindex="0"><img src="${url}" alt="${record.prompt ?? record.style}">
      <svg viewBox="-0.5 -0.5 ${size_px} ${size_px}"><path d="${dots.join("")}"/></svg>
      <figcaption>${edits}</figcaption></figure>
    `;
  };
  const rows = styles.map(([style, list]) =>
    markup`
      <h4>${style} <small>${list.length} pairs</small></h4>
      <div class="pairs">${list.slice(0, perStyle).map(figure)}</div>
    `
  );
  return markup`<h3>${stage}</h3><p>Point at or tap an image for the landmarks it was made from.</p>${rows}`;
}

/** The images at the top of a stage's folder. */
function sheets({ dir, stage }: Source): Part {
  const names = [...Deno.readDirSync(dir)].map(({ name }) => name).filter((name) => extname(name) in mimeTypes).sort();
  return names.map((name) => {
    const url = dataUrl(join(dir, name));
    const caption = markup`<b>${stage}</b> ${basename(name, extname(name)).replaceAll("_", " ")}`;
    return markup`
      <figure class="sheet"><figcaption>${caption}</figcaption><img src="${url}" alt="${stage}: ${name}"></figure>
    `;
  });
}

function timing(sources: readonly Source[]): Html {
  const total = sources.reduce((sum, { manifest }) => sum + manifest.seconds, 0);
  const notes = ({ summary }: Manifest) =>
    summary.filter((row) => !("detector" in row)).map((row) =>
      Object.entries(row).map(([name, value]) => `${name} ${formatField(value, name)}`).join(", ")
    ).join("; ");
  const rows = sources.map(({ stage, manifest }) =>
    markup`
      <tr>
        <td>${stage}</td>
        <td>${manifest.recipe.uses}</td>
        <td class="number">${formatSeconds(manifest.seconds)}</td>
        <td><meter max="${total}" value="${manifest.seconds}"></meter></td>
        <td class="number">${(manifest.output.bytes / 1e6).toFixed(1)} MB</td>
        <td>${notes(manifest)}</td>
      </tr>
    `
  );
  return markup`
    <div class="wide">
      <table>
        <thead>
          <tr>
            <th>stage</th>
            <th>type</th>
            <th class="number">time</th>
            <th></th>
            <th class="number">size</th>
            <th></th>
          </tr>
        </thead>
        <tbody>
          ${rows}
          <tr><td>together</td><td></td><td class="number">${formatSeconds(total)}</td></tr>
        </tbody>
      </table>
    </div>
  `;
}

function log({ stage, manifest }: Source): Part {
  if (!manifest.log.length) return undefined;
  return markup`<details><summary>Lines of ${stage}</summary><pre>${manifest.log.join("\n")}</pre></details>`;
}

function resolvedYaml(sources: readonly Source[]): string {
  return sources.length ? readIfThere(join(dirname(sources[0]!.dir), "pipeline.yaml")) ?? "" : "";
}

const mimeTypes: Readonly<Record<string, string>> = { ".png": "image/png", ".jpg": "image/jpeg" };

function dataUrl(path: string): string {
  return `data:${mimeTypes[extname(path)] ?? "application/octet-stream"};base64,${Deno.readFileSync(path).toBase64()}`;
}

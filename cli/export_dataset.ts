/**
 * The command `export-dataset`: a dataset for annotation tools and other trainings.
 *
 * @module
 */
import { Command, Option } from "@commander-js/extra-typings";
import { counted } from "../formats/numbers.ts";
import { EXPORT_NAMES, exportFormatsDoc } from "../faces/data/annotations/registry.ts";
import { isDataset, openDataset } from "../faces/data/dataset.ts";
import { exportDataset as exportAs } from "../faces/data/dataset_export.ts";
import type { Origin } from "../faces/pts.ts";
import { type Context, UsageError } from "./command.ts";

/** Declares `export-dataset`. */
export const exportDataset = ({ print }: Context) =>
  new Command()
    .argument("<DIR>", "a dataset: a folder with metadata.jsonl")
    .addOption(
      new Option("--format <NAME>", exportFormatsDoc()).choices(EXPORT_NAMES).makeOptionMandatory(),
    )
    .requiredOption("--out <PATH>", "folder to write")
    .addOption(
      new Option(
        "--origin <NUMBER>",
        "coordinate of the centre of the first pixel; by default that of the format's own tools",
      ).choices(["0", "0.5", "1"]),
    )
    .option("--overwrite", "write to a folder that is not empty; files of other names stay")
    .addHelpText(
      "after",
      "\nExample:\n  deno task export-dataset runs/full/synthetic --format coco --out synthetic-coco",
    )
    .action(async (dir, { format, out, origin: asked, overwrite }) => {
      if (!await isDataset(dir)) {
        throw new UsageError(`Cannot export ${dir} as there is no ${dir}/metadata.jsonl`, {
          hint: "a folder of images with landmarks becomes a dataset by dataset/import",
        });
      }
      const dataset = await openDataset(dir);
      const origin = asked === undefined ? undefined : Number(asked) as Origin;
      const written = await exportAs(dataset, out, { format, origin, overwrite });
      const path = (name: string) => name === "" ? out : `${out.replace(/\/+$/, "")}/${name}`;
      const { lacks, left_out, annotations } = written;
      print(`${counted(written.images, "image")}, landmarks of ${dataset.schema.name} as ${format}: ${out}`);
      const aside = lacks.filter((property) => property === "style" || property === "group");
      if (aside.length) {
        print(`${format} has no place for ${aside.join(" and ")}: ${path(index(written.folder))} has them`);
      }
      if (lacks.includes("fractions of a pixel")) print(`${format} has whole pixels: coordinates were rounded`);
      if (left_out.length) print(`left out: ${left_out.join(", ")}`);
      const how = Object.entries({
        path: path(written.folder),
        format,
        ...(annotations !== undefined && { annotations: path(annotations) }),
        schema: dataset.schema.name,
        size_px: dataset.size_px,
        crop: "none",
        ...(origin !== undefined && { origin }),
      }).map(([key, value]) =>
        `${key}: ${typeof value === "string" && /[^\w./-]/.test(value) ? JSON.stringify(value) : value}`
      );
      print(`dataset/import reads it with { ${how.join(", ")} }`);
    });

function index(folder: string): string {
  return folder === "" ? "index.csv" : `${folder}/index.csv`;
}

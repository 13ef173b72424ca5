/**
 * The command `page`: a folder with a web page that finds faces in the browser.
 *
 * @module
 */
import { Command, Option } from "@commander-js/extra-typings";
import { fileURLToPath } from "node:url";
import { exists, namesIn, readText, writeFile, writeFolderAtomic } from "../formats/files.ts";
import { InputError } from "../formats/input_error.ts";
import { readDetector } from "../models/detectors/detector.ts";
import { readFinder } from "../models/finder/finder.ts";
import { type Context, SHIPPED_DETECTOR, SHIPPED_FINDER, UsageError } from "./command.ts";
import { pack, weightsScript } from "./page/weights.ts";

const source = (name: string) => fileURLToPath(new URL(`page/${name}`, import.meta.url));

/** Declares `page`. */
export const page = ({ print }: Context) =>
  new Command()
    .argument("<OUT>", "folder to write, new or empty")
    .addOption(new Option("--detector <DIR>", "folder of a detector").default(SHIPPED_DETECTOR, "models/faces"))
    .addOption(new Option("--finder <DIR>", "folder of a face finder").default(SHIPPED_FINDER, "models/faces/finder"))
    .addHelpText(
      "after",
      "\nExample:\n  deno task page site\n\nOpen site/index.html, or put the folder on any web server. The pictures stay " +
        "in the browser.",
    )
    .action(async (out, { detector, finder }) => {
      if (exists(out) && (await namesIn(out)).length > 0) {
        throw new UsageError(`Cannot write the page to ${out} as the folder is not empty`);
      }
      const weights = { finder: pack(await readFinder(finder)), detector: pack(await readDetector(detector)) };
      await writeFolderAtomic(out, async (dir) => {
        await writeFile(`${dir}/index.html`, await readText(source("index.html")));
        await writeFile(
          `${dir}/page.css`,
          await readText(source("../../formats/theme.css")) + await readText(source("page.css")),
        );
        await writeFile(`${dir}/weights.js`, weightsScript(weights));
        await bundle(source("app.ts"), `${dir}/app.js`);
      });
      print(`${out}/index.html: open it in a browser with WebGPU`);
    });

/** Bundles a module and all that it imports as a script for browsers. */
async function bundle(file: string, to: string): Promise<void> {
  const config = fileURLToPath(new URL("../deno.json", import.meta.url));
  const args = ["bundle", "-q", "--platform", "browser", "--format", "iife", "--minify", "--config", config];
  const { success, stderr } = await new Deno.Command("deno", {
    args: [...args, "-o", to, file],
    stdin: "null",
  })
    .output();
  if (!success) {
    const why = new TextDecoder().decode(stderr).trim();
    throw new InputError(`Cannot bundle the page: ${why}`, {
      hint: "deno bundle downloads esbuild at its first use, which needs network access",
    });
  }
}

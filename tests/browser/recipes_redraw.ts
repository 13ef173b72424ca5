/**
 * Times redraws of styles as the page asks for them: a value of the style's light, lines or medium, and one of its proportions.
 *
 * ```sh
 * deno run -P=cli --allow-net=127.0.0.1 tests/browser/recipes_redraw.ts [pipelines/styles] [128]
 * ```
 *
 * @module
 */
import process from "node:process";
import { openDevice } from "../../engine/device.ts";
import { HOST, serveLocally } from "../../cli/_local_server.ts";
import { RecipeFaces } from "../../cli/_recipe_faces.ts";
import { RecipeFolder } from "../../cli/_recipe_files.ts";
import { RecipeServer } from "../../cli/_recipe_server.ts";
import type { DrawRequest } from "../../cli/recipes/api.ts";

const [dir = "pipelines/styles", size = "128"] = Deno.args, TIMES = 5;
const device = await openDevice();
const folder = new RecipeFolder(dir), faces = new RecipeFaces(device.gpu), stop = new AbortController();
const http = serveLocally(new RecipeServer({ folder, faces, token: "redraw" }), 0, stop.signal);
const origin = `http://${HOST}:${http.addr.port}`;

interface Redraw {
  readonly clock: number;
  readonly processor: number;
}

/** Processor time of all threads so far, milliseconds. */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Milliseconds from a changed value to the picture of it, by the clock and of the processor. */
async function redraw(file: string, text: string, path: string[], value: number): Promise<Redraw> {
  const body: DrawRequest = {
    file,
    kind: "style",
    text,
    changes: [{ path, value }],
    person: 19,
    size_px: Number(size),
    draws: {},
    pictured: true,
  };
  const start = performance.now(), used = processorTime();
  const response = await fetch(`${origin}/redraw/draw`, {
    method: "POST",
    headers: { origin, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!(await response.json()).picture) throw new Error(`${file} was not drawn`);
  return { clock: performance.now() - start, processor: processorTime() - used };
}

const times: Record<string, Redraw[]> = { "fill.contrast": [], "shape.hair": [] };
for (const { file } of folder.list()) {
  const { text } = folder.open(file);
  for (const [name, all] of Object.entries(times)) {
    const path = ["render", ...name.split(".")];
    await redraw(file, text, path, 0.99); // compiles, and draws the head
    for (let k = 0; k < TIMES; k++) all.push(await redraw(file, text, path, 1.01 + k / 50));
  }
}
for (const [name, all] of Object.entries(times)) {
  const words = (["clock", "processor"] as const).map((kind) => {
    const sorted = all.map((one) => one[kind]).sort((a, b) => a - b);
    return `${kind} ${
      [0.5, 0.95].map((share) => sorted[Math.floor(share * sorted.length)]!.toFixed(0)).join(" and ")
    } ms`;
  });
  // deno-lint-ignore no-console
  console.log(`${name}, median and 95th percentile of ${all.length}: ${words.join(", ")}`);
}
stop.abort();
await http.finished;
await faces[Symbol.asyncDispose]();
device.destroy();

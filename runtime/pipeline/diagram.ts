/**
 * A pipeline drawn as SVG: a box for each stage, what it takes from on its left.
 *
 * @module
 */
import { type Html, markup } from "../../formats/html.ts";
import type { Pipeline, PipelineStage } from "./file.ts";
import { itemAt, lookUp } from "../../engine/lookup.ts";

const box = { height: 44, lane: 8, gapX: 56, gapY: 16, letter: 7.2 };
const margin = 16;
const colours: Readonly<Record<string, string>> = {
  dataset: "#2f6fde",
  model: "#8b3fc7",
  detector: "#0a7a4b",
  table: "#b0820a",
  report: "#5b6470",
};

/** Draws a pipeline; `stale` stages, those that a run would make, have a dashed border. */
export function drawPipeline({ name, stages }: Pipeline, stale: ReadonlySet<string> = new Set()): string {
  const lines = linesOf(stages);
  const columns = layers(stages, lines);
  const longest = Math.max(...stages.flatMap(({ id, spec }) => [id.length, spec.id.length]), 4);
  const width = Math.ceil(longest * box.letter) + 24;
  const size = {
    x: 2 * margin + columns.length * (width + box.gapX) - box.gapX,
    y: 2 * margin + Math.max(...columns.map(heightOf)),
  };
  const places = new Map<string, Place>();
  for (const [i, column] of columns.entries()) {
    let y = Math.round((size.y - heightOf(column)) / 2);
    for (const { key, stage } of column) {
      const height = stage ? box.height : box.lane;
      places.set(key, { x: margin + i * (width + box.gapX), y: y + height / 2 });
      y += height + box.gapY;
    }
  }
  const placeOf = (key: string) => lookUp(places, key, "places");
  const edges = lines.map(({ from, to }) => {
    const lanes = columns.flat().filter(({ line }) => line?.from === from && line.to === to).map(({ key }) => key);
    return drawEdge(placeOf(from), lanes.map(placeOf), placeOf(to), width);
  });
  const boxes = stages.map((stage) => drawBox(stage, placeOf(stage.id), width, stale.has(stage.id)));
  return markup`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.x} ${size.y}" width="${size.x}" height="${size.y}" font-family="ui-monospace, monospace" font-size="12">
<title>${name}</title>
<rect width="100%" height="100%" fill="#fff"/>
<g fill="none" stroke="#9aa4b0" stroke-width="1.2">
${edges}</g>
${boxes}</svg>
`.text;
}

/** Middle of the left side of a box or lane. */
interface Place {
  readonly x: number;
  readonly y: number;
}

const heightOf = (slots: readonly Slot[]) =>
  slots.reduce((sum, { stage }) => sum + (stage ? box.height : box.lane) + box.gapY, -box.gapY);

/** A line from the right side of a box through lanes to the left side of another box. */
function drawEdge(from: Place, lanes: readonly Place[], to: Place, width: number): Html {
  const bend = box.gapX / 2;
  const curve = (a: Place, b: Place) => `C${a.x + width + bend} ${a.y} ${b.x - bend} ${b.y} ${b.x} ${b.y}`;
  const through = lanes.map((lane, k) => `${curve(lanes[k - 1] ?? from, lane)}h${width}`).join("");
  return markup`<path d="M${from.x + width} ${from.y}${through}${curve(lanes.at(-1) ?? from, to)}"/>\n`;
}

function drawBox({ id, spec }: PipelineStage, { x, y }: Place, width: number, isStale: boolean): Html {
  const colour = colours[spec.output] ?? "#5b6470";
  return markup`<g transform="translate(${x} ${y - box.height / 2})">
<title>${id}: ${spec.doc}</title>
<rect width="${width}" height="${box.height}" rx="6" fill="#fff" stroke="${colour}" stroke-width="1.5"${
    isStale ? markup` stroke-dasharray="5 3"` : ""
  }/>
<text x="12" y="19" font-weight="600">${id}</text>
<text x="12" y="35" fill="${colour}">${spec.id}</text>
</g>
`;
}

/** A line from a stage to one that takes from it. */
interface Line {
  readonly from: string;
  readonly to: string;
}

/** A place in a column: a stage, or a line on its way past others. */
interface Slot {
  readonly key: string;
  readonly stage?: PipelineStage;
  readonly line?: Line;
}

/** All inputs; to a report only from stages that nothing else takes from, as it often takes all. */
function linesOf(stages: readonly PipelineStage[]): Line[] {
  const taken = new Set(stages.filter(({ spec }) => spec.output !== "report").flatMap(({ needs }) => needs));
  return stages.flatMap(({ id, spec, needs }) =>
    needs.filter((from) => spec.output !== "report" || !taken.has(from)).map((from) => ({ from, to: id }))
  );
}

/** Each stage just before the first that takes from it, each line a lane in the columns between; near to its inputs. */
function layers(stages: readonly PipelineStage[], lines: readonly Line[]): Slot[][] {
  const depth = new Map<string, number>();
  const depthOf = (id: string) => lookUp(depth, id, "depths of the stages");
  for (const { id, needs } of stages) depth.set(id, Math.max(-1, ...needs.map(depthOf)) + 1);
  for (const { id } of stages.toReversed()) {
    const after = lines.filter(({ from }) => from === id).map(({ to }) => depthOf(to) - 1);
    if (after.length) depth.set(id, Math.min(...after));
  }
  const columns: Slot[][] = Array.from({ length: Math.max(...depth.values()) + 1 }, () => []);
  const add = (at: number, slot: Slot) => itemAt(columns, at, "columns").push(slot);
  for (const stage of stages) add(depthOf(stage.id), { key: stage.id, stage });
  const lane = ({ from, to }: Line, at: number) => at === depth.get(from) ? from : `${from} ${to} ${at}`;
  for (const line of lines) {
    for (let at = depthOf(line.from) + 1; at < depthOf(line.to); at++) add(at, { key: lane(line, at), line });
  }
  const place = new Map<string, number>();
  for (const [at, column] of columns.entries()) {
    const inputs = ({ stage, line }: Slot) => line ? [line] : lines.filter(({ to }) => to === stage?.id);
    const mean = (slot: Slot) => {
      const before = inputs(slot).map((line) => lookUp(place, lane(line, at - 1), "places"));
      return before.length ? before.reduce((sum, y) => sum + y, 0) / before.length : 1;
    };
    const order = column.map((slot) => ({ slot, mean: mean(slot) })).sort((a, b) => a.mean - b.mean);
    column.splice(0, Infinity, ...order.map(({ slot }) => slot));
    column.forEach(({ key }, i) => place.set(key, (i + 0.5) / column.length));
  }
  return columns;
}

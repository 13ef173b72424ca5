/**
 * Line charts as files of their own, for papers and slides: SVG, and PNG for programs that do not show SVG.
 *
 * @module
 */
// @ts-types="@types/d3-shape"
import { line } from "d3-shape";
import { drawLine, drawText, LETTER_PX } from "../../faces/draw.ts";
import type { Colour } from "../../faces/data/image.ts";
import { createImage, type Image } from "../../faces/data/image.ts";
import { writePng } from "../../faces/data/image_file.ts";
import { writeFile } from "../../formats/files.ts";
import { type Html, markup } from "../../formats/html.ts";
import { type ChartOptions, height, layOut, type Series, width } from "./_line_chart.ts";

/** Colours of the series in turn, those of a light page. */
const COLOURS: readonly Colour[] = [
  [47, 111, 222],
  [217, 72, 15],
  [10, 122, 75],
  [139, 63, 199],
  [176, 130, 10],
  [194, 37, 92],
];
const INK: Colour = [27, 31, 36], SOFT: Colour = [91, 100, 112], FAINT: Colour = [223, 227, 232];
/** Share of a text that is left of its anchor. */
const ANCHORS = { start: 0, middle: 0.5, end: 1 };
/** Room for the title, and for each line of the legend. */
const HEAD = 28, ENTRY = 16;
/** Pixels of the PNG per unit of a chart. */
const SCALE = 2;

/** Lines and texts of both formats, in units of the chart. */
interface Drawing {
  readonly height: number;
  readonly lines: { readonly points: readonly [number, number][]; readonly stroke: number; readonly colour: Colour }[];
  /** `x` is the place of the `anchor`, the start, middle or end of the text; `y` is its baseline. */
  readonly texts: {
    readonly text: string;
    readonly x: number;
    readonly y: number;
    readonly anchor: keyof typeof ANCHORS;
    readonly colour: Colour;
  }[];
}

function draw(series: readonly Series[], options: ChartOptions): Drawing {
  const { left, right, bottom, xTicks, yTicks, lines, names } = layOut(series, options);
  const colourOf = (i: number) => COLOURS[i % COLOURS.length]!;
  const across = (y: number): [number, number][] => [[left, y + HEAD], [right, y + HEAD]];
  const legend = height + HEAD + 8;
  return {
    height: legend + ENTRY * names.length + 8,
    lines: [
      ...yTicks.map(({ at }) => ({ points: across(at), stroke: 1, colour: FAINT })),
      { points: across(bottom), stroke: 1, colour: SOFT },
      ...lines.map(({ series, points }) => ({
        points: points.map(([x, y]): [number, number] => [x, y + HEAD]),
        stroke: 2,
        colour: colourOf(series),
      })),
      ...names.map((_, i) => {
        const y = legend + ENTRY * i;
        return { points: [[left, y], [left + 14, y]] as [number, number][], stroke: 3, colour: colourOf(i) };
      }),
    ],
    texts: [
      { text: options.title, x: left, y: HEAD - 8, anchor: "start", colour: INK },
      ...yTicks.map(({ at, text }) => ({ text, x: left - 6, y: at + HEAD + 4, anchor: "end" as const, colour: SOFT })),
      ...xTicks.map(({ at, text }) => ({
        text,
        x: at,
        y: bottom + HEAD + 18,
        anchor: "middle" as const,
        colour: SOFT,
      })),
      { text: options.xLabel, x: (left + right) / 2, y: height + HEAD - 6, anchor: "middle", colour: SOFT },
      ...names.map((text, i) => ({
        text,
        x: left + 20,
        y: legend + ENTRY * i + 4,
        anchor: "start" as const,
        colour: INK,
      })),
    ],
  };
}

function toSvg({ height, lines, texts }: Drawing): Html {
  const rgb = (colour: Colour) => `rgb(${colour.join()})`;
  return markup`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="Helvetica, Arial, sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
${
    lines.map(({ points, stroke, colour }) =>
      markup`<path d="${line()(points)!}" fill="none" stroke="${rgb(colour)}" stroke-width="${stroke}"/>\n`
    )
  }${
    texts.map(({ text, x, y, anchor, colour }) =>
      markup`<text x="${x}" y="${y}" text-anchor="${anchor}" fill="${rgb(colour)}">${text}</text>\n`
    )
  }</svg>
`;
}

/** A drawing context for paths of straight lines, of which d3 calls these methods. */
function strokeOf(image: Image, width: number, colour: Colour): CanvasRenderingContext2D {
  let [fromX, fromY] = [0, 0];
  const moveTo = (x: number, y: number) => void ([fromX, fromY] = [x, y]);
  const lineTo = (x: number, y: number) => {
    drawLine(image, SCALE * fromX, SCALE * fromY, SCALE * x, SCALE * y, width, colour);
    moveTo(x, y);
  };
  return { moveTo, lineTo, closePath() {} } as unknown as CanvasRenderingContext2D;
}

function toImage({ height, lines, texts }: Drawing): Image {
  const image = createImage(SCALE * width, SCALE * height, [255, 255, 255]);
  for (const { points, stroke, colour } of lines) {
    line().context(strokeOf(image, SCALE * stroke, colour))(points);
  }
  for (const { text, x, y, anchor, colour } of texts) {
    const left = Math.max(0, Math.round(SCALE * (x - ANCHORS[anchor] * LETTER_PX * text.length)));
    drawText(image, text, left, Math.round(SCALE * (y - 8)), SCALE, colour);
  }
  return image;
}

/**
 * Writes a chart as `PATH.svg` and as `PATH.png`.
 *
 * @param path Without an ending; its folder exists.
 */
export async function writeChart(path: string, series: readonly Series[], options: ChartOptions): Promise<void> {
  const drawing = draw(series, options);
  await writeFile(`${path}.svg`, toSvg(drawing).text);
  await writePng(`${path}.png`, toImage(drawing));
}

/**
 * The contact sheet of generated pairs.
 *
 * @module
 */

import { contactSheet, overlayLandmarks } from "../../faces/draw.ts";
import type { Image } from "../../faces/data/image.ts";
import { readImage, writePng } from "../../faces/data/image_file.ts";
import type { Pairs } from "./_pairs.ts";

/** Pairs of a style on the contact sheet, at most. */
const PAIRS_ON_SHEET = 5;

/** Writes a sheet with a row for each style: each image, followed by the requested landmarks. */
export async function writeContactSheet(
  path: string,
  pairs: Pairs,
  pathOf: (index: number) => string,
): Promise<void> {
  const { styles, schema, size_px } = pairs;
  const sheet: Image[] = [], labels: string[] = [];
  const enlarge = Math.max(1, Math.floor(128 / size_px));
  const shown = Math.min(PAIRS_ON_SHEET, pairs.total / styles.length);
  for (let cell = 0; cell < styles.length * shown; cell++) {
    const index = (cell % shown) * styles.length + Math.floor(cell / shown);
    const pair = pairs.pair(index);
    const image = await readImage(pathOf(index));
    sheet.push(image, overlayLandmarks(image, pair.landmarks, schema, enlarge));
    const mixture = pairs.mixtureOf(index);
    const label = mixture ? `${pairs.styleOf(index).style} + ${mixture.style.style}` : pair.style;
    labels.push(label, (pair.edits ?? []).map(({ edit }) => edit).join(" "));
  }
  await writePng(path, contactSheet(sheet, 2 * shown, { labels, cell_px: size_px * enlarge }));
}

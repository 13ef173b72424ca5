/**
 * Targets of a finder's training.
 *
 * @module
 */

import type { FacePlace } from "../../faces/place.ts";
import { CELL_PX, REFERENCE_PX, TARGET_VALUES } from "./network.ts";

/** A face of a training picture. */
export interface LabelledFace extends FacePlace {
  /** False for a face that is neither found nor missed: too small, or hidden too far. */
  readonly counts: boolean;
}

/** Standard deviation of the bump around a centre, parts of the face's side, and its least, cells. */
const BUMP = 0.09, LEAST_BUMP = 0.6;
/** Distance from the centre within which cells learn the face's values, parts of its side, and its least, cells. */
const REACH = 0.15, LEAST_REACH = 0.75;
/** Radius of the part of a face that does not count in which nothing is learnt, parts of its side. */
const BLANK = 0.5;

/**
 * Targets of a batch, for `finderLoss()`.
 *
 * The cell that holds a centre counts 1 as centre, others as background by `(1 - bump)^4` with the greatest bump of all
 * faces; cells near a centre share a weight of 1 for the face's values. All is divided by the number of faces.
 *
 * @param faces Of each picture.
 * @param side Of the pictures, pixels.
 * @returns `[N, side/8, side/8, 8]`.
 */
export function finderTargets(faces: readonly (readonly LabelledFace[])[], side: number): Float32Array {
  const cells = side / CELL_PX;
  const out = new Float32Array(faces.length * cells * cells * TARGET_VALUES);
  const count = Math.max(1, faces.flat().filter(({ counts }) => counts).length);
  faces.forEach((those, n) => {
    const at = (row: number, column: number) => ((n * cells + row) * cells + column) * TARGET_VALUES;
    for (let row = 0; row < cells; row++) {
      for (let column = 0; column < cells; column++) out[at(row, column) + 1] = 1 / count;
    }
    for (const face of those) drawFace(face, cells, count, (row, column) => out.subarray(at(row, column)));
  });
  return out;
}

/** Writes the targets of one face over those of the background and of other faces. */
function drawFace(
  { x, y, side, angle, counts }: LabelledFace,
  cells: number,
  count: number,
  cellAt: (row: number, column: number) => Float32Array,
): void {
  // In cells, where the first cell's centre is 0.
  const [cx, cy, length] = [(x + 0.5) / CELL_PX - 0.5, (y + 0.5) / CELL_PX - 0.5, side / CELL_PX];
  const [column, row] = [Math.round(cx), Math.round(cy)];
  const inside = (at: number) => at >= 0 && at < cells;
  const centred = counts && inside(column) && inside(row);
  const sigma = Math.max(LEAST_BUMP, BUMP * length), reach = Math.max(LEAST_REACH, REACH * length);
  const near: [cell: Float32Array, dx: number, dy: number][] = [];
  for (let r = 0; r < cells; r++) {
    for (let c = 0; c < cells; c++) {
      const squared = (c - cx) ** 2 + (r - cy) ** 2;
      if (squared > (Math.max(3 * sigma, BLANK * length)) ** 2) continue;
      const cell = cellAt(r, c);
      const bump = centred ? Math.exp(-squared / (2 * sigma * sigma)) : squared < (BLANK * length) ** 2 ? 1 : 0;
      cell[1] = Math.min(cell[1]!, (1 - bump) ** 4 / count);
      if (centred && (squared <= reach * reach || (r === row && c === column))) near.push([cell, cx - c, cy - r]);
    }
  }
  if (!centred) return;
  const centre = cellAt(row, column);
  [centre[0], centre[1]] = [1 / count, 0];
  for (const [cell, dx, dy] of near) {
    const values = [1 / (near.length * count), dx, dy, Math.log(side / REFERENCE_PX), Math.sin(angle), Math.cos(angle)];
    cell.set(values, 2);
  }
}

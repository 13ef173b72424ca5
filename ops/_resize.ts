/**
 * Parts that ops share which change the height and width of maps.
 *
 * @module
 */

import { dims, type Op, type Shape } from "../engine/graph.ts";

/** Height and width of the result. */
export type SizeAttrs = { readonly size: readonly [number, number] };

/** Properties that are the same for all of them: `[N, H, W, C]` gives `[N, ...size, C]`. */
export const resizing: Pick<Op<SizeAttrs, 1>, "bound" | "f16" | "shapes"> = {
  bound: "memory",
  f16: () => "follows",
  shapes: ([x], { size }) => {
    const { N, C } = dims(x, "N H W C");
    return [[N, ...size, C]];
  },
};

/** Sizes of two grids of as many channels, as kernels take them. */
export function gridSizes(grid: Shape, other: Shape): Readonly<Record<"H" | "W" | "HO" | "WO" | "C4", number>> {
  const { H, W, C } = dims(grid, "N H W C");
  const { HO, WO } = dims(other, "N HO WO C");
  return { H, W, HO, WO, C4: Math.ceil(C / 4) };
}

/** Factor from the coarse to the fine of two grids, the same in height and width, if it is a whole number up to 4; else 0. */
export function wholeFactor(coarse: Shape, fine: Shape): number {
  const { H, W, HO, WO } = gridSizes(coarse, fine);
  const factor = HO / H;
  return Number.isInteger(factor) && factor <= 4 && WO === factor * W ? factor : 0;
}

/** Position in the source of output pixel 0, and the step between pixels, of one direction of linear interpolation. */
function linearMap(from: number, to: number, align_corners: boolean): { step: number; offset: number } {
  if (align_corners) return { step: to > 1 ? (from - 1) / (to - 1) : 0, offset: 0 };
  return { step: from / to, offset: from / to / 2 - 0.5 };
}

/** The two source pixels of an output pixel, with the weight of the second. */
export function linearTaps(at: number, from: number, to: number, align_corners: boolean): [number, number, number] {
  const { step, offset } = linearMap(from, to, align_corners);
  const source = Math.max(0, at * step + offset);
  const low = Math.min(Math.floor(source), from - 1);
  return [low, Math.min(low + 1, from - 1), source - low];
}

/** Sizes and maps of bilinear interpolation from one grid to another, as kernels take them. */
export function bilinearNumbers(from: Shape, to: Shape, align_corners: boolean) {
  const ints = gridSizes(from, to);
  const h = linearMap(ints.H, ints.HO, align_corners), w = linearMap(ints.W, ints.WO, align_corners);
  return { ints, floats: { h_step: h.step, h_offset: h.offset, w_step: w.step, w_offset: w.offset } };
}

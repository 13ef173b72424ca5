import { dims, extent, type Shape, type Value } from "../engine/graph.ts";
import { BLOCK, filterStride, tilesOf, tileStride } from "./_winograd.ts";
import { recompute } from "./recompute.ts";
import { winogradFilter } from "./winograd_filter.ts";
import { winogradFilterGrad } from "./winograd_filter_grad.ts";
import { winogradInput } from "./winograd_input.ts";
import { winogradOutput } from "./winograd_output.ts";
import { winogradProduct } from "./winograd_product.ts";
import { winogradGradOutputTransform } from "./winograd_grad_output_transform.ts";
import { winogradFilterGradProduct } from "./winograd_filter_grad_product.ts";

/** Most texels of a tensor between the steps, 64 MiB: adapters may not allow twice as much. */
const MOST_TEXELS = 2 ** 22;
/** Most numbers of transformed filters that are kept in addition to the filters themselves, four times as large as they are. */
const MOST_KEPT = 9 * 2 ** 17;

/** Most texels of tiles that are kept until the gradient, 4 MiB. */
const MOST_SHARED = 2 ** 18;

/** Shapes and attributes that decide between the kernels of a convolution. */
export interface Convolution {
  /** Shape of the maps, `[N, H, W, C]`. */
  readonly maps: Shape;
  /** Shape of the filters, `[KH, KW, I, O]`. */
  readonly filters: Shape;
  readonly stride: number;
  /** Top, left, bottom, right. */
  readonly padding: readonly number[];
}

/**
 * Returns true if the steps of {@linkcode winograd} can compute a convolution: 3x3 filters, stride 1, padding 1, and channels in
 * multiples of 8.
 */
export function supportsWinograd({ maps, filters, stride, padding }: Convolution): boolean {
  const { KH, KW, I, O } = dims(filters, "KH KW I O");
  const { blocks } = tilesIn(maps);
  return KH === 3 && KW === 3 && stride === 1 && padding.every((p) => p === 1) && I % 8 === 0 && O % 8 === 0 &&
    36 * Math.max(blocks * tileStride(Math.max(I, O)), filterStride(I, O)) <= MOST_TEXELS;
}

/**
 * Returns true if they are faster than the direct kernel, by a rule of shapes (docs/speed.md): the more channels, the less do the stores
 * between the steps count against the products saved, and the more tiles, the less does the step of the filters, unless
 * that is done once.
 *
 * @param channels Those summed over, those of the results.
 * @param frozen True if the filters are the same in every run.
 */
export function prefersWinograd(convolution: Convolution, [K, N]: readonly [number, number], frozen: boolean): boolean {
  if (!supportsWinograd(convolution)) return false;
  const { blocks, tiles, pixels } = tilesIn(convolution.maps);
  const { I, O } = dims(convolution.filters, "KH KW I O");
  // Tiles outside the maps are computed too.
  if (16 * BLOCK * blocks > 1.25 * pixels) return false;
  if (frozen && 9 * I * O > MOST_KEPT) return false;
  return 25 / K + 16 / N + (frozen ? 0 : 15 / tiles) <= 1;
}

/** Returns true if {@linkcode winogradGradient} is faster than the direct kernel, likewise. */
export function prefersWinogradGradient(convolution: Convolution): boolean {
  if (!supportsWinograd(convolution)) return false;
  const { tiles, pixels } = tilesIn(convolution.maps);
  if (16 * tiles > 1.25 * pixels) return false;
  const { I, O } = dims(convolution.filters, "KH KW I O");
  return I >= 32 && O >= 32 && tiles >= 16;
}

/** Numbers of blocks of tiles, tiles and pixels in maps. */
function tilesIn(maps: Shape): { blocks: number; tiles: number; pixels: number } {
  const { N, H, W } = dims(maps, "N H W C");
  const [TH, TW] = tilesOf(H, W);
  return { blocks: Math.ceil(N * TH * TW / BLOCK), tiles: N * TH * TW, pixels: N * H * W };
}

/**
 * A 3x3 convolution with stride 1 and padding 1 by Winograd's F(4x4, 3x3): a quarter of the multiplications.
 *
 * Its rounding error is about that of the direct kernel.
 *
 * @param x `[N, H, W, I]`, or where `transposed` `[N, H, W, O]`.
 * @param f `[3, 3, I, O]`.
 * @param transposed Whether to compute the gradient with respect to the maps from that of the results: the convolution with
 * transposed filters of maps transposed by 180 degrees, transposed back.
 * @param frozen True if the filters are the same in every run.
 * @returns `[N, H, W, O]`, or where `transposed` `[N, H, W, I]`.
 *
 * Source: Lavin & Gray 2015, arXiv 1509.09308.
 */
export function winograd(
  x: Value,
  f: Value,
  { transposed, frozen }: { readonly transposed: boolean; readonly frozen: boolean },
): Value {
  const { N, H, W } = dims(x, "N H W C");
  const { inputs, outputs } = dims(f, "KH KW inputs outputs");
  // Filters of a training are transformed twice a step, as keeping them until the gradient would take four times their memory.
  const u = winogradFilter(transposed && !frozen ? recompute(f) : f);
  const m = winogradProduct(winogradInput(x, transposed), u, { inputs, outputs, pixels: N * H * W, transposed });
  return winogradOutput(m, [N, H, W, transposed ? inputs : outputs], transposed);
}

/**
 * The gradient of a 3x3 convolution with stride 1 and padding 1 with respect to its filters, likewise.
 *
 * @param x `[N, H, W, I]`. @param dy `[N, H, W, O]`.
 * @returns `[3, 3, I, O]`.
 */
export function winogradGradient(x: Value, dy: Value): Value {
  const [inputs, outputs] = [extent(x, 3), extent(dy, 3)];
  const { blocks, tiles } = tilesIn(x.shape);
  // Tiles of the maps are there from the convolution; where they are large, they are made again.
  const large = 36 * blocks * tileStride(inputs) > MOST_SHARED;
  const v = winogradInput(large ? recompute(x) : x, false);
  const sums = winogradFilterGradProduct(v, winogradGradOutputTransform(dy), { inputs, outputs, tiles });
  return winogradFilterGrad(sums, [3, 3, inputs, outputs]);
}

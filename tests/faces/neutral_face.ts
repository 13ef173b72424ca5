import type { Landmarks } from "../../faces/landmarks.ts";

/** Right half of an upright, symmetric face in thousandths of the picture's side: landmarks by number, x from the middle. */
const HALF: Record<number, readonly [number, number]> = {
  8: [0, 880],
  9: [75, 865],
  10: [140, 825],
  11: [200, 770],
  12: [245, 705],
  13: [275, 625],
  14: [295, 540],
  15: [305, 455],
  16: [310, 370],
  22: [50, 300],
  23: [95, 275],
  24: [145, 268],
  25: [195, 280],
  26: [235, 310],
  27: [0, 360],
  28: [0, 420],
  29: [0, 480],
  30: [0, 540],
  33: [0, 590],
  34: [30, 582],
  35: [60, 570],
  42: [70, 378],
  43: [103, 358],
  44: [143, 358],
  45: [178, 380],
  46: [143, 394],
  47: [103, 394],
  51: [0, 672],
  52: [30, 664],
  53: [72, 678],
  54: [115, 705],
  55: [75, 740],
  56: [35, 757],
  57: [0, 760],
  62: [0, 698],
  63: [35, 696],
  64: [98, 706],
  65: [36, 716],
  66: [0, 719],
};
const MIRRORED: Record<number, number> = {
  9: 7,
  10: 6,
  11: 5,
  12: 4,
  13: 3,
  14: 2,
  15: 1,
  16: 0,
  22: 21,
  23: 20,
  24: 19,
  25: 18,
  26: 17,
  34: 32,
  35: 31,
  42: 39,
  43: 38,
  44: 37,
  45: 36,
  46: 41,
  47: 40,
  52: 50,
  53: 49,
  54: 48,
  55: 59,
  56: 58,
  63: 61,
  64: 60,
  65: 67,
};

/** A face looking straight ahead that fills a picture of `size_px` x `size_px`. */
export function neutralFace(size_px: number): Landmarks {
  const face = new Float32Array(136);
  const middle = (size_px - 1) / 2;
  for (const [index, [x, y]] of Object.entries(HALF)) {
    const right = Number(index), left = MIRRORED[right];
    face.set([middle + x / 1000 * size_px, y / 1000 * size_px], 2 * right);
    if (left !== undefined) face.set([middle - x / 1000 * size_px, y / 1000 * size_px], 2 * left);
  }
  return face;
}

import { createImage, type Image } from "../../../faces/data/image.ts";

/** The image turned clockwise by a quarter. */
export function turnQuarter({ width, height, data }: Image): Image {
  const turned = createImage(height, width);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (y * width + x) * 3;
      turned.data.set(data.subarray(from, from + 3), (x * height + (height - 1 - y)) * 3);
    }
  }
  return turned;
}

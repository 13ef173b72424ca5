import { InputError } from "../../../formats/input_error.ts";
import { type ImageFormat, stem, toLandmarks } from "./format.ts";

/**
 * Bare numbers, as Caricature-Data has them.
 *
 * Source: QianyiWu/Caricature-Data, Caricature_w_landmark/1.txt.
 */
export const text: ImageFormat = {
  name: "text",
  doc: "a .txt file beside each image with x and y of each landmark, as Caricature-Data",
  perImage: true,
  files: (image) => [`${stem(image)}.txt`],
  parse(bytes, context) {
    const numbers = new TextDecoder().decode(bytes).trim().split(/[\s,]+/).map(Number);
    try {
      return toLandmarks(numbers, context);
    } catch (error) {
      throw new InputError(`Cannot read ${context.name}: ${(error as Error).message}`, { cause: error });
    }
  },
};

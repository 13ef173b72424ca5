import { decodeText } from "../../../formats/text.ts";
import type { Landmarks } from "../../landmarks.ts";
import {
  coordinates,
  type ImageContext,
  type ImageFormat,
  inFile,
  numbersIn,
  pairs,
  stem,
  toLandmarks,
} from "./format.ts";

/** Reads bare numbers, two for each landmark, or three of which the last is a depth and is left out. */
export function parseNumbers(bytes: Uint8Array<ArrayBuffer>, context: ImageContext): Landmarks[] {
  const numbers = numbersIn(decodeText(bytes, context.name));
  const flat = numbers.length === 3 * context.schema.count ? numbers.filter((_, k) => k % 3 < 2) : numbers;
  return [inFile(context.name, () => toLandmarks(flat, context))];
}

/**
 * Bare numbers, as Caricature-Data and FaceBlit have them; MakeItTalk has a column of depths too.
 *
 * Source: QianyiWu/Caricature-Data, Caricature_w_landmark/1.txt; AnetaTexler/FaceBlit, README.md.
 */
export const text: ImageFormat = {
  name: "text",
  doc: "a .txt file beside each image with x and y of each landmark, as Caricature-Data; a third column is left out",
  perImage: true,
  lacks: ["style", "group"],
  files: (image) => [`${stem(image)}.txt`],
  parse: parseNumbers,
  write: ({ landmarks }, { origin }) =>
    pairs(coordinates(landmarks, origin)).map((pair) => `${pair.join(" ")}\n`).join(""),
};

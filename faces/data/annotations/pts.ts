import { parsePts } from "../../pts.ts";
import { type ImageFormat, stem } from "./format.ts";

/** 300-W's own files. */
export const pts: ImageFormat = {
  name: "pts",
  doc: "a 300-W .pts file beside each image",
  perImage: true,
  files: (image) => [`${stem(image)}.pts`],
  parse: (bytes, { schema, ...options }) => parsePts(new TextDecoder().decode(bytes), schema, options),
};

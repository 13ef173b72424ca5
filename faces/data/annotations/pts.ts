import { decodeText } from "../../../formats/text.ts";
import { formatPts, parsePts } from "../../pts.ts";
import { type ImageFormat, stem } from "./format.ts";

/** `.pts` files, counted from 0 as datasets of this program have them. */
export const pts: ImageFormat = {
  name: "pts",
  doc: "a 300-W .pts file beside each image",
  perImage: true,
  lacks: ["style", "group"],
  files: (image) => [`${stem(image)}.pts`],
  parse: (bytes, { schema, ...options }) => [parsePts(decodeText(bytes, options.name), schema, options)],
  write: ({ landmarks }, { origin }) => formatPts(origin === 0 ? landmarks : landmarks.map((px) => px + origin)),
};

/**
 * 300-W's own trees (`helen/trainset`, `lfpw/testset`, `afw`, `ibug`, `01_Indoor`), counted from 1, as menpo, ArtFacePoints
 * and most readers of `.pts` files take them.
 *
 * Source: Sagonas et al. 2013; plustwo0/generalized-face-landmarker, data/W300.py; menpo/menpo, menpo/io/input/landmark.py.
 */
export const w300: ImageFormat = { ...pts, name: "300w", doc: "300-W's own .pts files, which count from 1", origin: 1 };

import { decodeText } from "../../../formats/text.ts";
import { folderOf, type ImageFormat } from "./format.ts";
import { ljson, parseLjson } from "./ljson.ts";
import { isNpy, npyFiles, parseNpy } from "./npy.ts";

/**
 * Artistic-Faces in both layouts: `ARTIST/14.png` with `ARTIST/14.ljson`, and `images/14.png` with `landmarks/14.npy`.
 *
 * Source: Yaniv et al. 2019, papulke/face-of-art; plustwo0/generalized-face-landmarker, data/Artistic.py.
 */
export const artface: ImageFormat = {
  name: "artface",
  doc: "Artistic-Faces: a .ljson file beside each image, whose folder is its style, or a NumPy file in ../landmarks",
  perImage: true,
  files: (image) => [...ljson.files(image), ...npyFiles(image, ["landmarks"])],
  describe(image) {
    const artist = folderOf(image);
    return artist === undefined || artist === "images" ? {} : { style: artist };
  },
  parse: (bytes, context) => [
    isNpy(bytes) ? parseNpy(bytes, context) : parseLjson(decodeText(bytes, context.name), context),
  ],
};

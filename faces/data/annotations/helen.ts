import { InputError } from "../../../formats/input_error.ts";
import { type ListFormat, numbersIn, toLandmarks } from "./format.ts";

/**
 * HELEN's own annotation, a folder of text files: the image's name without ending, then 194 lines `x , y`.
 *
 * Source: Le et al. 2012; read by gwnam's and others' HelenDataset from `annotation/1.txt` to `annotation/2330.txt`.
 */
export const helen: ListFormat = {
  name: "helen",
  doc: "HELEN's folder annotation/, 194 landmarks; 300-W's 68 for the same images are of format 300w",
  perImage: false,
  schema: "helen194",
  matches: (start) => /^[^\s,]+[^\S\n]*\n[^\S\n]*-?[\d.]+[^\S\n]*,[^\S\n]*-?[\d.]+[^\S\n]*\n/.test(start),
  parse(text, each, context) {
    const end = text.indexOf("\n");
    const name = text.slice(0, Math.max(0, end)).trim();
    if (!/^[^\s,/\\]+$/.test(name)) throw new InputError("line 1: the name of an image is expected");
    each(1, () => {
      const landmarks = toLandmarks(numbersIn(text.slice(end + 1)), context);
      return { image: `${name}.jpg`, landmarks };
    });
  },
};

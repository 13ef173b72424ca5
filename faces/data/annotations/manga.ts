import { decodeText } from "../../../formats/text.ts";
import { InputError } from "../../../formats/input_error.ts";
import { folderOf, type ImageFormat, inFile, numbersIn, stem, toLandmarks } from "./format.ts";

/**
 * Augereau's manga landmarks as their readers keep them: `labels/SPLIT/TITLE/NAME.txt` with 120 lines, x and y in turn in
 * shares of the crop's sides, for `dataset_224/SPLIT/TITLE/NAME.jpg`; or `NAME.pts` beside `NAME.jpg`, for which the format
 * `300w` is made. A title is a group.
 *
 * Source: noppananiscoding/frontal-manga-lmds, manga_dataset.py.
 */
export const manga: ImageFormat = {
  name: "manga",
  doc:
    "60 landmarks for Manga109 in labels/, in shares of the crop's sides; a folder is a title, its images are a group",
  perImage: true,
  schema: "manga60",
  origin: 0.5,
  files(image) {
    const file = `${stem(image)}.txt`;
    const [top = "", ...rest] = file.split("/");
    return top.startsWith("dataset") ? [["labels", ...rest].join("/")] : [`../labels/${file}`];
  },
  describe(image) {
    const group = folderOf(image);
    return { style: "manga", ...(group !== undefined && { group }) };
  },
  parse: (bytes, { name, schema, origin, width, height }) => [
    inFile(name, () => {
      const shares = numbersIn(decodeText(bytes, name));
      if (shares.some((share) => share < -1 || share > 2)) {
        throw new InputError("its numbers are no shares of the image's sides, from 0 to 1");
      }
      return toLandmarks(shares.map((share, k) => share * (k % 2 ? height : width)), { schema, origin });
    }),
  ],
};

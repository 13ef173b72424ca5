import { InputError } from "../../../formats/input_error.ts";
import { boundingBox, type Landmarks, meanPoint } from "../../landmarks.ts";
import type { LandmarkSchema } from "../../schema.ts";
import { baseName, coordinates, type ListFormat, numbersIn, toLandmarks } from "./format.ts";

const HEADER = ["image_path", "landmarks_5pts", "landmarks", "scale", "center_w", "center_h"];

/** Name of an image. */
const IMAGE = /\.(png|jpe?g|bmp|webp)\b/i;

/**
 * STAR's tables, tab-separated, a face a line: the image's path, 5 points, all landmarks, scale and centre of the box,
 * and tags if there are any. The first line is a header: STAR's reader leaves it out, whatever it holds.
 *
 * The scale is the longer side of the landmarks' box over 200. The import crops by the landmarks themselves.
 *
 * Source: ZhenglinZhou/STAR, lib/dataset/alignmentDataset.py; zenonLEE/MDFLD, test_file_creation.py.
 */
export const star: ListFormat = {
  name: "star",
  doc: "STAR's .tsv table: path, 5 points, all points, scale, centre",
  perImage: false,
  lacks: ["style", "group"],
  file: "faces.tsv",
  matches: (start) => start.split("\n", 2).some((line) => line.split("\t").length >= HEADER.length),
  parse(text, each, context) {
    text.split("\n").forEach((line, i) => {
      const fields = line.trimEnd().split("\t");
      const [path = "", five = "", all = ""] = fields;
      const isHeader = i === 0 && !numbersIn(five).some(Number.isFinite) && !IMAGE.test(line);
      if (line.trim() === "" || isHeader) return;
      each(i + 1, () => {
        if (fields.length < HEADER.length) {
          throw new InputError(`there are ${fields.length} fields instead of ${HEADER.length}, with tabs between`);
        }
        if (fields.slice(2).some((tag) => IMAGE.test(tag))) throw new InputError("it has two faces");
        const image = path.replaceAll("\\", "/").replace(/^(\.\/)?rawImages\/|^\.\//, "");
        return { image, aliases: [baseName(image)], landmarks: toLandmarks(numbersIn(all), context) };
      });
    });
  },
  write(faces, { schema, origin }) {
    const rows = faces.map(({ image, landmarks }) => {
      if (/[\t\r\n]/.test(image)) throw new InputError(`Cannot write ${JSON.stringify(image)} to a table with tabs`);
      const { x, y, width, height } = boundingBox(landmarks);
      const [left, top] = [Math.floor(x + origin), Math.floor(y + origin)];
      const [right, bottom] = [Math.ceil(x + width + origin), Math.ceil(y + height + origin)];
      return [
        image,
        coordinates(fivePoints(landmarks, schema), origin).join(),
        coordinates(landmarks, origin).join(),
        Math.max(right - left, bottom - top) / 200,
        (left + right) / 2,
        (top + bottom) / 2,
      ].join("\t");
    });
    return [HEADER.join("\t"), ...rows, ""].join("\n");
  },
};

/** Pupils, tip of the nose, corners of the mouth. */
function fivePoints(landmarks: Landmarks, { name, names, normalisers }: LandmarkSchema): Landmarks {
  const { left, right } = normalisers.interpupil;
  const named = ["nose_tip", "left_mouth_corner", "right_mouth_corner"].map((wanted) => {
    const [index] = [...names].find(([, landmark]) => landmark === wanted) ?? [];
    if (index === undefined) throw new InputError(`Cannot write STAR's table: ${name} has no landmark "${wanted}"`);
    return [index];
  });
  return Float32Array.from([left, right, ...named].flatMap((points) => meanPoint(landmarks, points)));
}

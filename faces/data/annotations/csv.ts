import { parseCsv } from "../../../formats/csv.ts";
import { InputError } from "../../../formats/input_error.ts";
import { itemAt } from "../../../engine/lookup.ts";
import { coordinates, type ListFormat, toLandmarks } from "./format.ts";

/**
 * A table with a header: the image as `name`, `file`, `file_name` or `image`, x0, y0, x1 and so on (or x_0 ...) in any
 * order, and `style` and `group` if wanted.
 */
export const csv: ListFormat = {
  name: "csv",
  doc: "a CSV file with the columns name,x0,y0,x1,y1 and so on, and style,group if wanted",
  perImage: false,
  file: "landmarks.csv",
  matches(start) {
    const [header = ""] = start.split("\n", 1);
    return header.includes(",") && !/[\t<{[]/.test(header) && /\bx_?0\b/i.test(header);
  },
  parse(text, each, context) {
    const [first, ...rows] = parseCsv(text);
    const header = (first?.fields ?? []).map((field) => field.toLowerCase());
    const image = header.findIndex((field) => ["name", "file", "file_name", "image"].includes(field));
    const columns = Array.from({ length: context.schema.count }, (_, p) => p).flatMap((p) =>
      ["x", "y"].map((axis) => header.findIndex((field) => field === `${axis}${p}` || field === `${axis}_${p}`))
    );
    const missing = columns.findIndex((column) => column < 0);
    if (image < 0) throw new InputError('line 1: there is no column "name", "file" or "image"');
    if (missing >= 0) {
      throw new InputError(`line 1: there is no column "${missing % 2 ? "y" : "x"}${Math.floor(missing / 2)}"`);
    }
    for (const { line, fields } of rows) {
      each(line, () => {
        if (fields.length !== header.length) {
          throw new InputError(`there are ${fields.length} fields instead of ${header.length}`);
        }
        const values = columns.map((column) => fields[column] === "" ? NaN : Number(fields[column]));
        const [style, group] = ["style", "group"].map((key) => fields[header.indexOf(key)]);
        return {
          image: itemAt(fields, image, "the fields of a line"),
          landmarks: toLandmarks(values, context),
          ...(style && { style }),
          ...(group && { group }),
        };
      });
    }
  },
  write(faces, { schema, origin }) {
    const columns = Array.from({ length: 2 * schema.count }, (_, k) => `${k % 2 ? "y" : "x"}${k >> 1}`);
    const rows = faces.map(({ image, style, group, landmarks }) =>
      [...[image, style, group].map(quoted), ...coordinates(landmarks, origin)].join()
    );
    return [["name", "style", "group", ...columns].join(), ...rows, ""].join("\n");
  },
};

/** A field of a CSV file, in quotes where it needs them. */
export function quoted(field: string): string {
  return /[",\r\n]|^\s|\s$/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}

import { InputError } from "../../../formats/input_error.ts";
import { itemAt } from "../../../engine/lookup.ts";
import { type ListFormat, toLandmarks } from "./format.ts";

/** Numbers before the image's name: the landmarks, a box of 4 numbers, 6 attributes. */
const NUMBERS = 2 * 98 + 4 + 6;

/** WFLW's lists, a face a line: the landmarks, a box of 4 numbers, 6 attributes, the image's name. */
export const wflw: ListFormat = {
  name: "wflw",
  doc: "WFLW's list_98pt_rect_attr_*.txt",
  perImage: false,
  schema: "wflw98",
  matches: (start) => (start.split("\n", 1)[0] ?? "").trim().split(/\s+/).length === NUMBERS + 1,
  parse(text, each, context) {
    const { count } = context.schema;
    text.split("\n").forEach((line, i) => {
      if (line.trim() === "") return;
      each(i + 1, () => {
        const fields = line.trim().split(/\s+/);
        if (fields.length !== NUMBERS + 1) {
          throw new InputError(`there are ${fields.length} fields instead of ${NUMBERS + 1}`);
        }
        return {
          image: itemAt(fields, NUMBERS, "the fields of a line"),
          landmarks: toLandmarks(fields.slice(0, 2 * count).map(Number), context),
        };
      });
    });
  },
};

import { InputError } from "../../../formats/input_error.ts";
import { itemAt } from "../../../engine/lookup.ts";
import { type ListFormat, toLandmarks } from "./format.ts";

/** WFLW's lists, a face a line: the landmarks, a box of 4 numbers, 6 attributes, the image's name. */
export const wflw: ListFormat = {
  name: "wflw",
  doc: "WFLW's list_98pt_rect_attr_*.txt",
  perImage: false,
  schema: "wflw98",
  parse(text, each, context) {
    const { count } = context.schema;
    const NUMBERS = 2 * count + 4 + 6;
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

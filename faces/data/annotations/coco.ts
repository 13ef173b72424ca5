import { InputError } from "../../../formats/input_error.ts";
import { type ListFormat, toLandmarks } from "./format.ts";

/** `annotations` with `keypoints`, or with `face_kpts` as COCO-WholeBody has them: x, y and visibility each. */
export const coco: ListFormat = {
  name: "coco",
  doc: "COCO's JSON with keypoints, or COCO-WholeBody's with face_kpts",
  perImage: false,
  parse(text, each, context) {
    const { count } = context.schema;
    const { images, annotations }: Record<string, unknown> = JSON.parse(text) ?? {};
    if (!Array.isArray(images) || !Array.isArray(annotations)) {
      throw new InputError('"images" and "annotations" are expected');
    }
    const names = new Map(images.map((image) => [image?.id, image?.file_name]));
    annotations.forEach((annotation, i) => {
      // Without a face there is nothing to read, and nothing wrong.
      if (annotation?.face_valid === false) return;
      each(`annotations[${i}]`, () => {
        const { image_id, ...points } = (annotation ?? {}) as Record<string, unknown>;
        const given = points["face_kpts"] ?? points["keypoints"];
        const image = names.get(image_id);
        if (typeof image !== "string") throw new InputError(`there is no image with id ${JSON.stringify(image_id)}`);
        if (!Array.isArray(given) || given.length !== 3 * count) {
          throw new InputError(`${3 * count} numbers in "keypoints" or "face_kpts" are expected`);
        }
        const hidden = Array.from({ length: count }, (_, p) => p).filter((p) => given[3 * p + 2] === 0);
        if (hidden.length) throw new InputError(`landmarks ${hidden.slice(0, 5).join(", ")} are not labelled`);
        return { image, landmarks: toLandmarks(given.filter((_, k) => k % 3 < 2), context) };
      });
    });
  },
};

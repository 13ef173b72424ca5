import { InputError } from "../../../formats/input_error.ts";
import { boundingBox } from "../../landmarks.ts";
import { byImage, coordinates, landmarkNames, type ListFormat, pairs, parseJsonText, toLandmarks } from "./format.ts";

/** A property, if it is a text that says something. */
function textOf(record: unknown, key: string): string | undefined {
  const value = (record as Record<string, unknown> | null | undefined)?.[key];
  return typeof value === "string" && value !== "" ? value : undefined;
}

/**
 * `annotations` with `keypoints`, or with `face_kpts` as COCO-WholeBody has them: x, y and visibility each, which
 * is 1 for landmarks that are hidden in the picture. Images may have `style` and `group`, which COCO's own tools leave alone.
 *
 * Source: cocodataset.org, format-data, "Keypoint Detection"; jin-s13/COCO-WholeBody, README.md.
 */
export const coco: ListFormat = {
  name: "coco",
  doc: "COCO's JSON with keypoints, or COCO-WholeBody's with face_kpts",
  perImage: false,
  hides: true,
  file: "annotations.json",
  matches: (start) => /^\s*\{/.test(start) && /"(images|annotations)"\s*:\s*\[/.test(start),
  parse(text, each, context) {
    const { count } = context.schema;
    const { images, annotations }: Record<string, unknown> = parseJsonText(text) ?? {};
    if (!Array.isArray(images) || !Array.isArray(annotations)) {
      throw new InputError('"images" and "annotations" are expected');
    }
    const byId = new Map(images.map((image) => [image?.id, image]));
    annotations.forEach((annotation, i) => {
      // No face is no error.
      if (annotation?.face_valid === false) return;
      each(`annotations[${i}]`, () => {
        const { image_id, ...points } = (annotation ?? {}) as Record<string, unknown>;
        const given = points["face_kpts"] ?? points["keypoints"];
        const about = byId.get(image_id);
        const image = textOf(about, "file_name"), style = textOf(about, "style"), group = textOf(about, "group");
        if (image === undefined) throw new InputError(`there is no image with id ${JSON.stringify(image_id)}`);
        if (!Array.isArray(given) || given.length !== 3 * count) {
          throw new InputError(`${3 * count} numbers in "keypoints" or "face_kpts" are expected`);
        }
        const hidden = Array.from({ length: count }, (_, p) => p).filter((p) => given[3 * p + 2] === 0);
        if (hidden.length) throw new InputError(`landmarks ${hidden.slice(0, 5).join(", ")} are not labelled`);
        const occluded = Array.from({ length: count }, (_, p) => p).filter((p) => given[3 * p + 2] === 1);
        return {
          image,
          landmarks: toLandmarks(given.filter((_, k) => k % 3 < 2), context),
          ...(style !== undefined && { style }),
          ...(group !== undefined && { group }),
          ...(occluded.length > 0 && { occluded }),
        };
      });
    });
  },
  write(faces, { schema, origin }) {
    const joined = schema.contours.flatMap(({ points, closed }) =>
      [...points.keys()].slice(closed ? 0 : 1).map((k) => [(points.at(k - 1) ?? 0) + 1, (points[k] ?? 0) + 1])
    );
    const images = byImage(faces), ids = new Map(images.map(([image], id) => [image, id]));
    return JSON.stringify({
      images: images.map(([file_name, [{ width, height, style, group }]], id) => ({
        id,
        file_name,
        width,
        height,
        style,
        group,
      })),
      annotations: faces.map(({ image, landmarks, occluded = [] }, id) => {
        const { x, y, width, height } = boundingBox(landmarks);
        const bbox = [x + origin, y + origin, width, height].map((px) => Number(px.toFixed(3)));
        const keypoints = pairs(coordinates(landmarks, origin)).flatMap((
          [x, y],
          p,
        ) => [x, y, occluded.includes(p) ? 1 : 2]);
        const area = Number((width * height).toFixed(3));
        const image_id = ids.get(image);
        return { id, image_id, category_id: 1, keypoints, num_keypoints: schema.count, bbox, area, iscrowd: 0 };
      }),
      // COCO counts the landmarks of a skeleton from 1.
      categories: [{
        id: 1,
        name: "face",
        supercategory: "person",
        keypoints: landmarkNames(schema),
        skeleton: joined,
      }],
    }) + "\n";
  },
};

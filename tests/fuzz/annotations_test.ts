import assert from "node:assert/strict";
import type { FaceToWrite, ImageFormat, ListFormat } from "../../faces/data/annotations/format.ts";
import { DATASET_FORMATS, type FormatName, parseAnnotations } from "../../faces/data/annotations/registry.ts";
import { type LandmarkSchema, SCHEMAS } from "../../faces/schema.ts";
import { decodeText } from "../../formats/text.ts";
import { neutralFace } from "../faces/neutral_face.ts";
import { npy } from "../faces/npy_file.ts";
import { bytesOfText, fuzz } from "./_fuzz.ts";

const SIDE = 80;
const face = neutralFace(SIDE).map((px) => Number(px.toFixed(3)));
/** Landmarks of any schema: points within the picture. */
const landmarksOf = (count: number) =>
  count === 68 ? face : Float32Array.from({ length: 2 * count }, (_, i) => 5 + (i * 37) % 70);
const points = (count: number) => {
  const flat = landmarksOf(count);
  return Array.from({ length: count }, (_, p) => [flat[2 * p]!, flat[2 * p + 1]!] as const);
};
const faces: FaceToWrite[] = ["one.png", "two.png", "three.png"].map((image, k) => ({
  image,
  width: SIDE,
  height: SIDE,
  landmarks: face,
  style: "photo",
  group: `g${k}`,
}));
const NAMES = ["one", "two", "three"];
const table = (separator: string, count: number) => points(count).map((pair) => pair.join(separator)).join("\n");
const array = npy("<f8", "(68, 2)", new Uint8Array(Float64Array.from(face).buffer));
const ljson = JSON.stringify({ labels: [], landmarks: { points: points(68).map(([x, y]) => [y, x]) }, version: 2 });

/** Valid files of the formats that are not written. */
const SAMPLES: Partial<Record<FormatName, readonly (string | Uint8Array<ArrayBuffer>)[]>> = {
  npy: [
    array,
    npy("<f4", "(68, 2)", new Uint8Array(face.buffer)),
    npy("<i8", "(68, 2)", new Uint8Array(BigInt64Array.from(face, (px) => BigInt(Math.round(px))).buffer)),
  ],
  cariface: [array],
  artface: [array, ljson],
  webcaricature: [
    "40 5\n8 40\n40 78\n72 40\n15 25\n32 26\n48 26\n65 25\n18 33\n30 34\n50 34\n62 33\n40 48\n40 58\n28 62\n40 68\n52 62\n",
  ],
  facesynthetics: [table(" ", 70)],
  faceblit: [table(" ", 68)],
  manga: [points(60).flat().map((px) => px / SIDE).join("\n")],
  wflw: [
    NAMES.map((name) => `${points(98).flat().join(" ")} 1 2 3 4 0 0 0 0 0 0 x/${name}.png`).join("\n"),
  ],
  ffhq: [
    JSON.stringify(
      Object.fromEntries(
        NAMES.map((name, k) => [k, {
          category: "training",
          image: { file_path: `images1024x1024/00000/${name}.png`, face_landmarks: points(68) },
          in_the_wild: { file_path: `in-the-wild-images/00000/${name}.png`, face_landmarks: points(68) },
        }]),
      ),
    ),
  ],
  metfaces: [
    JSON.stringify(NAMES.map((name, k) => ({
      obj_id: `${k}`,
      source_path: `unprocessed/${name}.png`,
      image_path: `images/${name}-00.png`,
      face_spec: { rect: [1, 2, 3, 4], landmarks: points(68), shrink: 2 },
    }))),
  ],
  helen: [["one", ...table(" , ", 194).split("\n")].join("\r\n")],
};

for (const format of Object.values<ImageFormat | ListFormat>(DATASET_FORMATS)) {
  const schema: LandmarkSchema = SCHEMAS[format.schema ?? "ibug68"];
  const context = { name: "file", schema, origin: format.origin ?? 0, width: SIDE, height: SIDE } as const;
  const good = (landmarks: Float32Array) => {
    assert.equal(landmarks.length, 2 * schema.count);
    assert(landmarks.every(Number.isFinite), "a landmark is not finite");
  };
  if (format.perImage) {
    const files = format.write
      ? [format.write({ ...faces[0]!, landmarks: landmarksOf(schema.count) }, context)]
      : SAMPLES[format.name as FormatName] ?? assert.fail(`there is no sample of ${format.name}`);
    fuzz(
      `annotations of ${format.name}`,
      files.map((file) => typeof file === "string" ? bytesOfText(file) : file as Uint8Array<ArrayBuffer>),
      (bytes) => {
        const found = format.parse(bytes, context);
        // A file that is read has a face: none would be an image lost in silence.
        assert(found.length > 0, "the file was read, and no face came out");
        found.forEach(good);
      },
      { isText: typeof files[0] === "string" },
    );
    continue;
  }
  const text = format.write
    ? format.write(faces, context)
    : SAMPLES[format.name as FormatName]?.[0] ?? assert.fail(`there is no sample of ${format.name}`);
  fuzz(`annotations of ${format.name}`, [bytesOfText(text as string)], (bytes) => {
    const text = decodeText(bytes, "file");
    const { faces, bad } = parseAnnotations(text, format, schema, { name: "file" });
    faces.forEach(({ landmarks }) => good(landmarks));
    // Every image that the text still names came out, or a bad face is named, unless nothing could be read.
    const present = NAMES.filter((name) =>
      text.includes(`${name}.png`) || format.name === "helen" && text.startsWith(name)
    );
    // A face whose path was changed is one too: the import names it, as its image is not there.
    assert(
      faces.length >= present.length || bad.length > 0,
      `of ${present} only ${faces.length} came out, and nothing is named`,
    );
  });
}

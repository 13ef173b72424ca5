import assert from "node:assert/strict";
import { join } from "node:path";
import { exportFaces, type FaceOfPicture } from "../../../faces/data/dataset_export.ts";
import { openFolder } from "../../../faces/data/face_folder.ts";
import { createImage } from "../../../faces/data/image.ts";
import { writePng } from "../../../faces/data/image_file.ts";
import { SCHEMAS } from "../../../faces/schema.ts";
import { neutralFace } from "../neutral_face.ts";
import { inFolder } from "../../stages/run_stages.ts";

const FACE = Float32Array.from(neutralFace(48));
const at = (x: number, y: number) => FACE.map((px, i) => Math.round(px + (i % 2 ? y : x)));

/** A wide picture with two faces and a high one with one. */
async function picturesIn(root: string): Promise<FaceOfPicture[]> {
  const sizes = { "a.png": [130, 60], "b.png": [50, 90] } as const;
  for (const [name, [width, height]] of Object.entries(sizes)) {
    await writePng(join(root, name), createImage(width, height, [90, 80, 70]));
  }
  return ([["a.png", at(0, 5)], ["b.png", at(1, 30)], ["a.png", at(70, 3)]] as const).map(([image, landmarks]) => {
    const [width, height] = sizes[image];
    return { image, path: join(root, image), width, height, landmarks, style: "ink", group: image[0]! };
  });
}

for (const format of ["coco", "cvat", "label_studio", "imglab", "csv", "star", "yolo_pose"] as const) {
  Deno.test(`${format}: pictures of any size and all of their faces are written, and read again`, async () => {
    await inFolder(async (root) => {
      const faces = await picturesIn(root), out = join(root, "out");
      const { images, folder, annotations, origin } = await exportFaces(faces, SCHEMAS.ibug68, out, { format });
      assert.equal(images, 2);
      const read = await openFolder(join(out, folder), {
        format,
        origin,
        ...(annotations !== undefined && { annotations: join(out, annotations) }),
      });
      assert.deepEqual(read.bad, []);
      const key = ({ image, landmarks }: { image: string; landmarks: Float32Array }) => `${image} ${landmarks[0]}`;
      const sorted = <T extends { image: string; landmarks: Float32Array }>(list: T[]) =>
        list.sort((a, b) => key(a) < key(b) ? -1 : 1);
      const found = sorted(read.records.map(({ file_name: image, ...rest }) => ({ image, ...rest })));
      const wanted = sorted([...faces]);
      assert.deepEqual(found.map(({ image }) => image), ["a.png", "a.png", "b.png"]);
      assert.deepEqual(found.map(({ style, group }) => [style, group]), [["ink", "a"], ["ink", "a"], ["ink", "b"]]);
      for (const [k, { landmarks }] of found.entries()) {
        const far = Math.max(...landmarks.map((px, i) => Math.abs(px - wanted[k]!.landmarks[i]!)));
        assert.ok(far < 0.01, `${format}: ${far} px`);
      }
      assert.deepEqual(await Deno.readFile(join(out, folder, "a.png")), await Deno.readFile(join(root, "a.png")));
    });
  });
}

Deno.test("formats with a face for each picture say so of a picture with two", async () => {
  await inFolder(async (root) => {
    const faces = await picturesIn(root);
    await assert.rejects(
      exportFaces(faces, SCHEMAS.ibug68, join(root, "out"), { format: "pts" }),
      /Cannot write a\.png as pts: it has 2 faces, and the format has one, hint: formats with any number: yolo_pose, coco, csv, cvat/,
    );
    const twins = faces.map((face, k) => ({ ...face, image: "a.png", path: k ? face.path : join(root, "x/a.png") }));
    await assert.rejects(
      exportFaces(twins, SCHEMAS.ibug68, join(root, "out"), { format: "coco" }),
      /two of their images have one name/,
    );
  });
});

import assert from "node:assert/strict";
import { DATASET_FORMATS, formatsDoc, parseAnnotations } from "../../../faces/data/annotations/registry.ts";
import { neutralFace } from "../neutral_face.ts";
import { SCHEMAS } from "../../../faces/schema.ts";
import { npy } from "../npy_file.ts";

const { ibug68, wflw98 } = SCHEMAS;
const WFLW_TO_68 = wflw98.maps["ibug68"]!.map(([point]) => point!);
const face = neutralFace(80);
const pairs = Array.from({ length: 68 }, (_, i) => [face[2 * i]!, face[2 * i + 1]!] as const);

/** Reads a text that has one good face, `a.png`, and bad ones; returns their places and reasons. */
function read(format: "wflw" | "coco" | "ffhq" | "csv", text: string, origin: 0 | 1 = 0): string[] {
  const { faces, bad } = parseAnnotations(text, DATASET_FORMATS[format], ibug68, { name: "list", origin });
  assert.deepEqual(faces.map(({ image }) => image), ["a.png"]);
  faces[0]!.landmarks.forEach((px, i) => assert.ok(Math.abs(px - face[i]! + origin) < 1e-4));
  return bad.map(({ file, reason }) => `${file} ${reason}`);
}

Deno.test("wflw: 98 points become 68, and a short line is named", () => {
  // Each of the 98 points is told apart by its number; those that stand for a landmark lie on the face.
  const points = Array.from({ length: 98 }, (_, k) => pairs[WFLW_TO_68.indexOf(k)] ?? [-k, -k]);
  const line = [...points.flat(), 1, 2, 70, 80, 0, 0, 0, 0, 0, 0, "a.png"].join(" ");
  assert.deepEqual(read("wflw", `${line}\n1 2 3 b.png\n\n`), ["list:2 there are 4 fields instead of 207"]);
  assert.deepEqual(read("wflw", line, 1), []);
  assert.equal(new Set(WFLW_TO_68).size, 68);
  // Mirrored points of WFLW: the jaw 0-32, brows' upper edges, the bridge, nostrils, eyes, mouth.
  const mirrored = new Map([[60, 72], [61, 71], [63, 69], [64, 68], [65, 75], [67, 73], [33, 46], [37, 42], [76, 82]]);
  for (let k = 0; k <= 32; k += 2) mirrored.set(k, 32 - k);
  for (const [one, other] of mirrored) {
    assert.equal(WFLW_TO_68[ibug68.mirror[WFLW_TO_68.indexOf(one)]!], other, `${one} and ${other}`);
  }
});

Deno.test("coco: keypoints and face_kpts, and faces without all points are named", () => {
  const points = pairs.flatMap(([x, y]) => [x, y, 2]);
  const images = [{ id: 7, file_name: "a.png" }];
  const annotations = [
    { image_id: 7, keypoints: points },
    { image_id: 8, keypoints: points },
    { image_id: 7, keypoints: points.slice(3) },
    { image_id: 7, keypoints: points.with(5, 0) },
    { image_id: 7, face_valid: false },
  ];
  assert.deepEqual(read("coco", JSON.stringify({ images, annotations })), [
    "list:annotations[1] there is no image with id 8",
    'list:annotations[2] 204 numbers in "keypoints" or "face_kpts" are expected',
    "list:annotations[3] landmarks 1 are not labelled",
  ]);
  const whole = [{ image_id: 7, keypoints: [1, 2, 3], face_kpts: points, face_valid: true }];
  assert.deepEqual(read("coco", JSON.stringify({ images, annotations: whole })), []);
  assert.throws(() => read("coco", "{}"), /Cannot read list as coco: "images" and "annotations"/);
  assert.throws(() => read("coco", "{"), /Cannot read list as coco/);
});

Deno.test("ffhq: the aligned images, and entries without landmarks are named", () => {
  const entry = { image: { file_path: "a.png", face_landmarks: pairs } };
  const bad = { image: { file_path: "b.png", face_landmarks: pairs.slice(1) } };
  assert.deepEqual(read("ffhq", JSON.stringify({ 0: entry, 1: bad, 2: {} })), [
    'list:"1" there are 134 numbers instead of 136',
    'list:"2" "image" with "file_path" and "face_landmarks" is expected',
  ]);
});

Deno.test("csv: columns in any order with style and group, and bad rows are named", () => {
  const columns = pairs.flatMap((_, i) => [`x${i}`, `y${i}`]);
  const row = [...face].join();
  const text = `style,name,${columns.join()},group\nink,a.png,${row},g\nink,b.png\nink,c.png,${
    row.replace(/^[^,]*/, "x")
  },g\n`;
  assert.deepEqual(read("csv", text), [
    "list:3 there are 2 fields instead of 139",
    "list:4 landmark 0 is no pair of numbers",
  ]);
  const [first] = parseAnnotations(text, DATASET_FORMATS.csv, ibug68).faces;
  assert.deepEqual([first!.style, first!.group], ["ink", "g"]);
  // As OpenFace writes them: all x first.
  const apart = ["x", "y"].flatMap((axis) => pairs.map((_, i) => `${axis}_${i}`));
  read("csv", `file, ${apart.join(", ")}\na.png, ${[0, 1].flatMap((k) => pairs.map((p) => p[k])).join(", ")}\n`, 0);
  const quoted = parseAnnotations(text.replace("a.png", '"a, the ""first"".png"'), DATASET_FORMATS.csv, ibug68).faces;
  assert.equal(quoted[0]!.image, 'a, the "first".png');
  assert.throws(() => read("csv", text.replace("a.png", '"a.png')), /list as csv: line \d+: a quote is not closed/);
  assert.throws(() => read("csv", text.replace("y67", "z67")), /list as csv: line 1: there is no column "y67"/);
  assert.throws(() => read("csv", text.replace("name", "title")), /there is no column "name", "file" or "image"/);
});

Deno.test("every format is called as its row, and is in the documentation", () => {
  for (const [name, format] of Object.entries(DATASET_FORMATS)) {
    assert.equal(format.name, name);
    assert.ok(formatsDoc().includes(`${name}: ${format.doc}`));
  }
});

Deno.test("wflw: all 98 points on request, and no schema that they do not contain", () => {
  const points = Array.from({ length: 2 * wflw98.count }, (_, i) => i);
  const line = [...points, 1, 2, 70, 80, 0, 0, 0, 0, 0, 0, "a.png"].join(" ");
  assert.deepEqual([...parseAnnotations(line, DATASET_FORMATS.wflw, wflw98).faces[0]!.landmarks], points);
  assert.equal(parseAnnotations(line, DATASET_FORMATS.wflw, SCHEMAS.cofw29).faces[0]!.landmarks.length, 58);
});

const context = { schema: ibug68, origin: 0, width: 80, height: 80 } as const;
const bytesOf = (text: string) => new TextEncoder().encode(text);

Deno.test("text: 68 times x and y", () => {
  const { parse } = DATASET_FORMATS.text;
  const text = pairs.map((pair) => pair.join(" ")).join("\r\n");
  const [found] = parse(bytesOf(text), { ...context, name: "a.txt", origin: 1 });
  found!.forEach((px, i) => assert.ok(Math.abs(px - face[i]! + 1) < 1e-4));
  const wrong = (text: string, problem: RegExp) =>
    assert.throws(() => parse(bytesOf(text), { ...context, name: "a.txt" }), problem);
  wrong("1 2", /Cannot read a\.txt: there are 2 numbers instead of 136/);
  wrong(text.replace(/^\S+/, "x"), /landmark 0 is no pair of numbers/);
  const deep = parse(bytesOf(pairs.map(([x, y]) => `${x}\t${y}\t-0.5`).join("\n")), { ...context, name: "a.txt" });
  assert.deepEqual(deep, [face]);
});

Deno.test("npy: CariFace's arrays of both orders and four types, and others are named", () => {
  const { parse } = DATASET_FORMATS.npy;
  const bytes = (data: { buffer: ArrayBuffer }) => new Uint8Array(data.buffer);
  const whole = face.map(Math.round);
  const columns = Float32Array.from([...pairs.map(([x]) => x), ...pairs.map(([, y]) => y)]);
  const good: [Float32Array, Uint8Array<ArrayBuffer>][] = [
    [face, npy("<f4", "(68, 2)", bytes(Float32Array.from(face)))],
    [face, npy("<f8", "(68, 2)", bytes(Float64Array.from(face)))],
    [face, npy("<f4", "(68, 2)", bytes(columns), "True")],
    [whole, npy("<i4", "(68, 2)", bytes(Int32Array.from(whole)))],
    [whole, npy("<i8", "(68, 2)", bytes(BigInt64Array.from(whole, (px) => BigInt(px))))],
  ];
  for (const [want, file] of good) assert.deepEqual(parse(file, { ...context, name: "a.npy" }), [want]);
  assert.deepEqual(parse(good[0]![1], { ...context, name: "a.npy", origin: 1 }), [face.map((px) => px - 1)]);
  const data = bytes(Float32Array.from(face));
  const wrong = (file: Uint8Array<ArrayBuffer>, problem: RegExp) =>
    assert.throws(() => parse(file, { ...context, name: "a.npy" }), problem);
  wrong(npy(">f4", "(68, 2)", data), /Cannot read a.npy: its elements are ">f4", not <f4, <f8/);
  wrong(npy("<f4", "(2, 68)", data), /its shape is \(2, 68\) instead of \(68, 2\)/);
  wrong(npy("<f4", "(68, 2)", data.subarray(4)), /it has 668 bytes instead of 672/);
  wrong(npy("<f4", "(68, 2)", bytes(Float32Array.from(face).fill(NaN, 6, 7))), /landmark 3 is no pair of numbers/);
  wrong(new Uint8Array(4), /it is no NumPy file/);
});

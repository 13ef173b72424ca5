import assert from "node:assert/strict";
import type { ImageFormat, ListFormat } from "../../../faces/data/annotations/format.ts";
import { DATASET_FORMATS, parseAnnotations } from "../../../faces/data/annotations/registry.ts";
import type { Landmarks } from "../../../faces/landmarks.ts";
import { type LandmarkSchema, SCHEMAS } from "../../../faces/schema.ts";
import { neutralFace } from "../neutral_face.ts";
import { npy } from "../npy_file.ts";

const { ibug68 } = SCHEMAS;
const face = neutralFace(80).map((px) => Number(px.toFixed(3)));
const points = Array.from({ length: 68 }, (_, i) => [face[2 * i]!, face[2 * i + 1]!] as const);
const edge = points.map(([x, y]) => [x + 0.5, y + 0.5] as const);
const context = { schema: ibug68, origin: 0, width: 80, height: 80, name: "a" } as const;
const bytesOf = (text: string) => new TextEncoder().encode(text);

/** Landmarks are those of `face` but for what single precision leaves. */
function close(found: Landmarks | undefined, want: ArrayLike<number> = face): void {
  assert.ok(found);
  assert.equal(found.length, want.length);
  found.forEach((px, i) => assert.ok(Math.abs(px - want[i]!) < 1e-4, `${i}: ${px} is not ${want[i]}`));
}

/** Reads a file of many faces: the faces, and the bad ones as a line each. */
function list(name: "coco" | "cvat" | "label_studio" | "imglab" | "star" | "metfaces" | "helen", text: string) {
  const format: ListFormat = DATASET_FORMATS[name];
  assert.ok(format.matches(text.slice(0, 1 << 16)), `${name} knows its own file`);
  const { faces, bad } = parseAnnotations(text, format, SCHEMAS[format.schema ?? "ibug68"], { name: "list" });
  return { faces, bad: bad.map(({ file, reason }) => `${file} ${reason}`) };
}

Deno.test("ljson: versions 1, 2 and 3 of menpo, y first; missing points are named", () => {
  const parse = (json: unknown) => DATASET_FORMATS.ljson.parse(bytesOf(JSON.stringify(json)), context)[0];
  const flipped = points.map(([x, y]) => [y, x]);
  const v2 = {
    labels: [{ label: "jaw", mask: [0] }],
    landmarks: { connectivity: [[0, 1]], points: flipped },
    version: 2,
  };
  close(parse(v2));
  const group = (from: number, to: number) => ({
    connectivity: [[0, 1]],
    label: `g${from}`,
    landmarks: flipped.slice(from, to).map((point) => ({ point })),
  });
  const v1 = { groups: [group(0, 17), group(17, 68)], version: 1 };
  close(parse(v1));
  close(parse({ groups: { LJSON: v2 }, version: 3 }));
  assert.throws(
    () => parse({ ...v2, landmarks: { points: flipped.with(3, [null, null] as unknown as number[]) } }),
    /Cannot read a: landmark 3 is missing/,
  );
  assert.throws(
    () => parse({ ...v2, landmarks: { points: flipped.slice(1) } }),
    /there are 134 numbers instead of 136/,
  );
  assert.throws(() => parse({ ...v2, version: 9 }), /version 9 is not 1, 2 or 3/);
  assert.throws(() => parse({ groups: { a: v2, b: v2 }, version: 3 }), /there are 2 groups of landmarks instead of 1/);
  assert.throws(() => parse({ version: 2 }), /there is no list of points/);
});

Deno.test("cvat: all points in a shape, skeletons, and a shape for each landmark", () => {
  const image = (id: number, shapes: string) =>
    `<image id="${id}" name="f${id}.png" width="80" height="80">${shapes}</image>`;
  const all = (text: string) =>
    `<points label="face" source="manual" occluded="0" points="${text}" z_order="0">
    <attribute name="style">ink &amp; wash</attribute><attribute name="group">g</attribute></points>`;
  const single = (from: number) =>
    edge.map(([x, y], i) => `<points label="${i + from}" outside="0" occluded="0" points="${x},${y}"></points>`).join(
      "",
    );
  const skeleton = (labels: string) => `<skeleton label="face" source="manual" z_order="0">${labels}</skeleton>`;
  const document = (images: string) =>
    `<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version><meta><task/></meta>${images}</annotations>`;
  const { faces, bad } = list(
    "cvat",
    document([
      image(0, all(edge.map((pair) => pair.join()).join(";"))),
      image(1, skeleton(single(1))),
      image(2, single(0).replaceAll(/(label="(?:9|40)" outside="0" occluded=)"0"/g, '$1"1"')),
      image(3, `<box label="x" xtl="0" ytl="0" xbr="1" ybr="1"/>`),
      image(4, all("1,2;3")),
      image(5, skeleton(single(0).replace('outside="0"', 'outside="1"'))),
      image(6, single(0).replace('label="7"', 'label="nose_tip"')),
      image(7, single(0).replace('label="7"', 'label="nostril"')),
    ].join("\n")),
  );
  assert.deepEqual(faces.map(({ image, style, group }) => [image, style, group]), [
    ["f0.png", "ink & wash", "g"],
    ["f1.png", undefined, undefined],
    ["f2.png", undefined, undefined],
  ]);
  for (const { landmarks } of faces) close(landmarks);
  assert.deepEqual(faces.map(({ occluded }) => occluded), [undefined, undefined, [9, 40]]);
  assert.deepEqual(bad.map((line) => line.replace(/, hint.*$/, "")), [
    "list:7 there are 3 numbers instead of 136",
    "list:9 landmark 0 has no point",
    "list:10 landmark 30 has two points",
    'list:11 label "nostril" is no landmark of ibug68',
  ]);
  assert.throws(
    () => list("cvat", document("<track id='0'/>")),
    /list as cvat: it is of a video, hint: export the task as/,
  );
  assert.throws(() => list("cvat", "<annotations><image></annotations>"), /list as cvat: line 1: /);
  // Entities of a DTD stay as they are: nothing grows.
  assert.throws(() => list("cvat", `<!DOCTYPE x [<!ENTITY a "b">]><annotations>&a;</annotations>`), /entity/);
});

Deno.test("label_studio: JSON and JSON-MIN, several faces of an image, uploaded and local files", () => {
  const result = (labels: readonly string[], more = {}) =>
    edge.map(([x, y], i) => ({
      id: `r${i}`,
      type: "keypointlabels",
      from_name: "kp",
      to_name: "img",
      original_width: 80,
      original_height: 80,
      image_rotation: 0,
      value: { x: x / 0.8, y: y / 0.8, width: 0.4, keypointlabels: [labels[i]] },
      ...more,
    }));
  const numbers = points.map((_, i) => String(i));
  const task = (image: string, ...annotations: unknown[]) => ({
    id: 1,
    data: { img: image },
    annotations,
    predictions: [],
  });
  const box = { type: "rectanglelabels", value: { x: 1, y: 2, width: 3, height: 4, rectanglelabels: ["face"] } };
  const { faces, bad } = list(
    "label_studio",
    JSON.stringify([
      task("/data/upload/3/0a1b2c3d-a.png", { result: [box, ...result(numbers)], was_cancelled: false }),
      task("/data/local-files/?d=sub/b%20c.png", { result: result(numbers.map((_, i) => String(i + 1))) }),
      task("s3://bucket/folder/c.png?x=1", {
        result: [...result(numbers, { parentID: "p" }), ...result(numbers, { parentID: "q" })],
      }),
      task("d.png", { result: result(numbers).slice(1) }),
      task("e.png", { result: result(numbers) }, { result: result(numbers) }),
      task("f.png", { result: result(numbers), ground_truth: true }, { result: result(numbers) }),
      task("g.png", { result: result(numbers), was_cancelled: true }),
      task("h.png", { result: result(numbers, { image_rotation: 90 }) }),
      { ...task("", { result: result(numbers) }), data: { style: "ink" } },
    ]),
  );
  assert.deepEqual(faces.map(({ image, aliases }) => [image, ...aliases!]), [
    ["0a1b2c3d-a.png", "a.png"],
    ["sub/b c.png", "b c.png"],
    ["c.png"],
    ["c.png"],
    ["f.png"],
  ]);
  for (const { landmarks } of faces) close(landmarks);
  assert.deepEqual(bad.map((line) => line.replace(/, hint.*$/, "")), [
    "list:[3] landmark 0 has no point",
    "list:[4] it has 2 annotations",
    "list:[7] it was annotated on an image that was turned by 90 degrees",
    'list:[8] there is no image in its "data"',
  ]);
  const min = result(numbers).map(({ value, original_width, original_height }) => ({
    ...value,
    original_width,
    original_height,
  }));
  const found = list(
    "label_studio",
    JSON.stringify([{ img: "/data/upload/1/0a1b2c3d-a.png", id: 7, kp: min, annotator: 1 }]),
  );
  assert.deepEqual(found.bad, []);
  close(found.faces[0]?.landmarks);
});

Deno.test("imglab: parts of boxes; a box without parts is named unless it is to be ignored", () => {
  const part = ([x, y]: readonly [number, number], i: number) =>
    `<part name='${String(i).padStart(2, "0")}' x='${Math.round(x)}' y='${Math.round(y)}'/>`;
  const { faces, bad } = list(
    "imglab",
    `<?xml version='1.0' encoding='ISO-8859-1'?>
<?xml-stylesheet type='text/xsl' href='image_metadata_stylesheet.xsl'?>
<dataset><name>faces</name><comment>by imglab</comment><images>
  <image file='sub\\a.png' width='80' height='80'>
    <box top='1' left='2' width='70' height='60'>${points.map(part).toReversed().join("")}<label>x</label></box>
    <box top='1' left='2' width='70' height='60' ignore='1'/>
    <box top='1' left='2' width='70' height='60'/>
    <box top='1' left='2' width='70' height='60'>${points.map(part).slice(0, 67).join("")}</box>
  </image>
</images></dataset>`,
  );
  assert.deepEqual(faces.map(({ image }) => image), ["sub/a.png"]);
  close(faces[0]?.landmarks, face.map(Math.round));
  assert.deepEqual(bad, ["list:7 a box of sub/a.png has no parts", "list:8 landmark 67 has no point"]);
  assert.throws(
    () => list("imglab", "<dataset><image/></dataset>"),
    /list as imglab: "dataset" with "images" is expected/,
  );
});

Deno.test("star: a header or none, tags, blanks after commas, Windows paths", () => {
  const five = "1,2,3,4,5,6,7,8,9,10", all = points.flat().join(", ");
  const rows = [
    ["", "five", "all", "scale", "w", "h"],
    ["rawImages\\a.png", five, all, 0.3, 40, 40],
    ["b.png", five, all, 0.3, 40, 40, "0,1,0"],
    ["c.png", five],
    ["d.png", five, "1,2", 0.3, 40, 40],
  ];
  const { faces, bad } = list("star", rows.map((row) => row.join("\t")).join("\r\n"));
  assert.deepEqual(faces.map(({ image }) => image), ["a.png", "b.png"]);
  for (const { landmarks } of faces) close(landmarks);
  assert.deepEqual(bad, [
    "list:4 there are 2 fields instead of 6, with tabs between",
    "list:5 there are 2 numbers instead of 136",
  ]);
  assert.equal(list("star", rows.slice(1, 3).map((row) => row.join("\t")).join("\n")).faces.length, 2, "no header");
  // Scale and centre as the authors' own script has them.
  const [header, row] = DATASET_FORMATS.star.write!(
    [{ image: "a.png", width: 80, height: 80, landmarks: face, style: "", group: "" }],
    context,
  ).split("\n").map((line) => line.split("\t"));
  assert.equal(header!.length, 6);
  const xs = points.map(([x]) => x), ys = points.map(([, y]) => y);
  const [x1, x2, y1, y2] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = Math.max(Math.ceil(x2) - Math.floor(x1), Math.ceil(y2) - Math.floor(y1)) / 200;
  assert.deepEqual(row!.slice(3).map(Number), [
    scale,
    (Math.floor(x1) + Math.ceil(x2)) / 2,
    (Math.floor(y1) + Math.ceil(y2)) / 2,
  ]);
  assert.equal(row![1]!.split(",").length, 10);
});

Deno.test("metfaces: landmarks of the reduced picture become those of the raw one", () => {
  const shrink = 3;
  // The centre of pixel i of the reduced picture is that of pixel 3 i + 1 of the raw one.
  const spec = { rect: [1, 2, 3, 4], landmarks: points.map((pair) => pair.map((px) => (px - 1) / shrink)), shrink };
  const entry = { obj_id: "1", source_path: "unprocessed/image-1.png", image_path: "images/1-00.png", face_spec: spec };
  const { faces, bad } = list("metfaces", JSON.stringify([entry, { ...entry, face_spec: {} }]));
  assert.deepEqual(faces.map(({ image }) => image), ["unprocessed/image-1.png"]);
  close(faces[0]?.landmarks);
  assert.match(bad.join(), /^list:\[1\] "source_path", and "face_spec"/);
});

Deno.test("helen: 194 landmarks behind the image's name", () => {
  const values = Array.from({ length: 388 }, (_, i) => i / 2);
  const lines = Array.from({ length: 194 }, (_, p) => `${values[2 * p]} , ${values[2 * p + 1]}`);
  const { faces } = list("helen", ["100032540_1", ...lines, ""].join("\r\n"));
  assert.equal(faces[0]?.image, "100032540_1.jpg");
  close(faces[0]?.landmarks, values);
  assert.match(list("helen", ["x", ...lines.slice(1)].join("\n")).bad.join(), /there are 386 numbers instead of 388/);
  const { parse } = DATASET_FORMATS.helen;
  assert.throws(() => parse(lines.join("\n"), () => {}, { ...context, schema: SCHEMAS.helen194 }), /line 1: the name/);
});

Deno.test("yolo_pose: shares of the sides, two or three columns, several faces, missing landmarks", () => {
  const { parse } = DATASET_FORMATS.yolo_pose;
  const wide = { ...context, width: 160, origin: 0.5 } as const;
  const line = (columns: number, visibility = 2) =>
    `0 0.5 0.5 0.2 0.2 ${edge.map(([x, y]) => [x / 160, y / 80, visibility].slice(0, columns).join(" ")).join(" ")}`;
  for (const found of parse(bytesOf(`${line(3)}\n${line(2)}\n\n`), wide)) close(found);
  const wrong = (text: string, problem: RegExp) => assert.throws(() => parse(bytesOf(text), wide), problem);
  wrong(line(3, 0), /Cannot read a:1: landmarks 0, 1, 2, 3, 4 are not labelled/);
  wrong(`${line(3)}\n0 1 2`, /Cannot read a:2: there are 3 numbers instead of 141 or 209/);
  wrong(line(2).replace("0.5 0.5 0.2 0.2 ", "0.5 0.5 0.2 0.2 30").replace(" 30", " 30 "), /there are 142 numbers/);
  wrong(`0 0.5 0.5 0.2 0.2 ${points.flat().join(" ")}`, /its numbers are no shares of the image's sides/);
  wrong("", /there is no face in it/);
});

Deno.test("facesynthetics: pupils by the nearer eye; masks are no faces", () => {
  const { parse, accepts, files } = DATASET_FORMATS.facesynthetics;
  const pupils = [[20, 30], [60, 30]].toSorted((a, b) => a[0]! - b[0]!);
  const text = (last: number[][]) => bytesOf([...points, ...last].map((pair) => pair.join(" ")).join("\n"));
  const schema = { ...context, schema: SCHEMAS.ibug70 };
  const want = [...points, ...pupils].flat();
  close(parse(text(pupils), schema)[0], want);
  close(parse(text(pupils.toReversed()), schema)[0], want);
  assert.deepEqual([accepts!("000000.png"), accepts!("000000_seg.png")], [true, false]);
  assert.deepEqual(files("000000.png"), ["000000_ldmks.txt"]);
});

Deno.test("webcaricature: folders are persons, first letters styles; another order of the outline is refused", () => {
  const format: ImageFormat = DATASET_FORMATS.webcaricature;
  assert.deepEqual(format.files("OriginalImages/Al Gore/C00001.jpg"), ["FacialPoints/Al Gore/C00001.txt"]);
  assert.deepEqual(format.files("Al Gore/C00001.jpg"), ["../FacialPoints/Al Gore/C00001.txt"]);
  assert.deepEqual(format.describe!("OriginalImages/Al Gore/C00001.jpg"), { group: "Al Gore", style: "caricature" });
  assert.deepEqual(format.describe!("Al Gore/P00001.jpg"), { group: "Al Gore", style: "photo" });
  const face = [[40, 5], [8, 40], [40, 78], [72, 40], [15, 25], [32, 26], [48, 26], [65, 25], [18, 33], [30, 34], [
    50,
    34,
  ]];
  face.push([62, 33], [40, 48], [40, 58], [28, 62], [40, 68], [52, 62]);
  const schema = { ...context, schema: SCHEMAS.webcaricature17 };
  const text = (points: number[][]) => bytesOf(points.map((pair) => pair.join("\t")).join("\r\n"));
  close(format.parse(text(face), schema)[0], face.flat());
  const other = [face[1]!, face[2]!, face[3]!, face[0]!, ...face.slice(4)];
  assert.throws(() => format.parse(text(other), schema), /Cannot read a: landmarks 0 to 3 are not the forehead/);
});

Deno.test("manga: shares of the crop, in labels/; a folder is a title", () => {
  const format: ImageFormat = DATASET_FORMATS.manga;
  assert.deepEqual(format.files("dataset_224/train/T/T_1_face0.jpg"), ["labels/train/T/T_1_face0.txt"]);
  assert.deepEqual(format.describe!("dataset_224/train/T/T_1_face0.jpg"), { style: "manga", group: "T" });
  const values = Array.from({ length: 120 }, (_, i) => i / 2);
  const schema = { ...context, schema: SCHEMAS.manga60, origin: 0.5 } as const;
  close(format.parse(bytesOf(values.map((px) => (px + 0.5) / 80).join("\n")), schema)[0], values);
  assert.throws(() => format.parse(bytesOf(values.join("\n")), schema), /no shares of the image's sides/);
});

Deno.test("artface, cariface, faceblit, 300w: the files of both layouts", () => {
  const { artface, cariface, faceblit, pts } = DATASET_FORMATS;
  const w300 = DATASET_FORMATS["300w"];
  assert.deepEqual(artface.files("Comics/14.png").slice(0, 2), ["Comics/14.ljson", "Comics/14.npy"]);
  assert.ok(artface.files("images/14.png").includes("landmarks/14.npy"));
  assert.deepEqual([artface.describe!("Comics/14.png"), artface.describe!("images/1.png")], [{ style: "Comics" }, {}]);
  const array = npy("<f8", "(68, 2)", new Uint8Array(Float64Array.from(face).buffer));
  close(artface.parse(array, context)[0]);
  close(artface.parse(bytesOf(DATASET_FORMATS.ljson.write!(faceToWrite(face), context) as string), context)[0]);
  const files = cariface.files("images/1.jpg");
  assert.ok(files.includes("landmarks_gt/1.jpg.npy") && files.includes("landmarks/1.jpg.npy"));
  assert.ok(cariface.files("1.jpg").includes("../landmarks_gt/1.jpg.npy"));
  assert.deepEqual(faceblit.files("style_bust_480x640.png"), ["lm_bust_480x640.txt"]);
  assert.deepEqual(faceblit.describe!("style_bust_480x640.png"), { style: "bust" });
  const text = bytesOf(pts.write!(faceToWrite(face), { schema: ibug68, origin: 1 }) as string);
  close(w300.parse(text, { ...context, origin: w300.origin! })[0]);
  const deep = Float64Array.from(points.flatMap(([x, y], i) => [x, y, i]));
  close(DATASET_FORMATS.npy.parse(npy("<f8", "(68, 3)", new Uint8Array(deep.buffer)), context)[0]);
});

function faceToWrite(landmarks: Landmarks, image = "a.png") {
  return { image, width: 80, height: 80, landmarks, style: `ink, "wet" <&>`, group: "g'1" };
}

for (const format of Object.values<ImageFormat | ListFormat>(DATASET_FORMATS)) {
  if (!format.write) continue;
  Deno.test(`${format.name}: what is written is read again, for every schema and origin`, () => {
    const lacks = (property: "style" | "group" | "fractions of a pixel") => format.lacks?.includes(property) ?? false;
    for (const schema of Object.values<LandmarkSchema>(SCHEMAS)) {
      const landmarks = Float32Array.from(
        { length: 2 * schema.count },
        (_, i) => Number(((i * 37.617) % 79).toFixed(3)),
      );
      const want = lacks("fractions of a pixel") ? landmarks.map(Math.round) : landmarks;
      for (const origin of [0, 0.5, 1] as const) {
        if (lacks("fractions of a pixel") && origin === 0.5) continue;
        const write = { schema, origin };
        if (format.perImage) {
          const written = format.write!(faceToWrite(landmarks), write);
          const bytes = typeof written === "string" ? bytesOf(written) : new Uint8Array(written);
          const [found, ...more] = format.parse(bytes, { ...context, ...write });
          assert.equal(more.length, 0);
          close(found, want);
        } else {
          if (format.name === "star" && ![...schema.names.values()].includes("nose_tip")) continue;
          const faces = [faceToWrite(landmarks), faceToWrite(landmarks, "b c.png")];
          const text = format.write!(faces, write);
          assert.ok(format.matches(text.slice(0, 1 << 16)));
          const others = Object.values<ImageFormat | ListFormat>(DATASET_FORMATS).flatMap((other) =>
            !other.perImage && other.name !== format.name && other.matches(text.slice(0, 1 << 16)) ? [other.name] : []
          );
          assert.deepEqual(others, [], "no other format takes it for its own");
          const { faces: found, bad } = parseAnnotations(text, format, schema, { origin });
          assert.deepEqual(bad, []);
          assert.deepEqual(found.map(({ image }) => image), ["a.png", "b c.png"]);
          for (const { landmarks, style, group } of found) {
            close(landmarks, want);
            assert.equal(style, lacks("style") ? undefined : `ink, "wet" <&>`);
            assert.equal(group, lacks("group") ? undefined : "g'1");
          }
        }
      }
    }
  });
}

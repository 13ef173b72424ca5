import assert from "node:assert/strict";
import type { FormatName } from "../../../faces/data/annotations/registry.ts";
import { openFolder } from "../../../faces/data/face_folder.ts";
import type { FolderOptions } from "../../../faces/data/folder/options.ts";
import { createImage } from "../../../faces/data/image.ts";
import { encodePng } from "../../../faces/data/image_file.ts";
import { formatPts } from "../../../faces/pts.ts";
import { type SchemaName, SCHEMAS } from "../../../faces/schema.ts";
import { inFolder } from "../../stages/run_stages.ts";
import { neutralFace } from "../neutral_face.ts";
import { npy } from "../npy_file.ts";

const png = encodePng(createImage(80, 80, [200, 180, 160]));
const face = neutralFace(80);
const points = Array.from({ length: 68 }, (_, i) => [face[2 * i]!, face[2 * i + 1]!] as const);
const array = npy("<f8", "(68, 2)", new Uint8Array(Float64Array.from(face).buffer));
const ljson = JSON.stringify({ labels: [], landmarks: { points: points.map(([x, y]) => [y, x]) }, version: 2 });
const text = (count: number) => Array.from({ length: count }, (_, i) => `${i % 9} ${i / 3}`).join("\n");

type Files = Readonly<Record<string, string | Uint8Array>>;

async function write(dir: string, files: Files): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await Deno.mkdir(`${dir}/${path}`.replace(/[^/]*$/, ""), { recursive: true });
    await (typeof content === "string" ? Deno.writeTextFile : Deno.writeFile)(`${dir}/${path}`, content as never);
  }
}

/** Trees as they are unpacked: files, the folder in it that is named, and each face as `source style group`. */
const TREES: readonly [FormatName, SchemaName, Files, FolderOptions, string, readonly string[]][] = [
  [
    "artface",
    "ibug68",
    { "Comics/14.png": png, "Comics/14.ljson": ljson, "Al Gore/3.png": png, "Al Gore/3.ljson": ljson },
    {},
    "",
    [
      "Al Gore/3|Al Gore|Al Gore/3",
      "Comics/14|Comics|Comics/14",
    ],
  ],
  [
    "artface",
    "ibug68",
    { "images/0.png": png, "landmarks/0.npy": array, "images/1.png": png, "landmarks/1.png.npy": array },
    {},
    "",
    [
      "images/0|photo|images/0",
      "images/1|photo|images/1",
    ],
  ],
  [
    "cariface",
    "ibug68",
    {
      "testset/images/1a.png": png,
      "testset/landmarks_gt/1a.png.npy": array,
      "testset/landmarks/1a_l.npy": "a prediction",
      "testset/test.txt": "1a\n",
    },
    {},
    "testset",
    ["images/1a|photo|images/1a"],
  ],
  ["cariface", "ibug68", { "images/00005.png": png, "landmarks/00005.png.npy": array }, {}, "images", [
    "00005|photo|00005",
  ]],
  [
    "webcaricature",
    "webcaricature17",
    {
      "OriginalImages/Al Gore/C00001.png": png,
      "FacialPoints/Al Gore/C00001.txt":
        "40 5\n8 40\n40 78\n72 40\n15 25\n32 26\n48 26\n65 25\n18 33\n30 34\n50 34\n62 33\n40 48\n40 58\n28 62\n40 68\n52 62\n",
    },
    {},
    "",
    ["OriginalImages/Al Gore/C00001|caricature|Al Gore"],
  ],
  ["facesynthetics", "ibug70", { "000000.png": png, "000000_seg.png": png, "000000_ldmks.txt": text(70) }, {}, "", [
    "000000|photo|000000",
  ]],
  ["facesynthetics", "ibug68", { "000000.png": png, "000000_ldmks.txt": text(70) }, {}, "", ["000000|photo|000000"]],
  ["faceblit", "ibug68", { "style_bust.png": png, "lm_bust.txt": text(68), "video.png": png }, {}, "", [
    "style_bust|bust|style_bust",
  ]],
  [
    "manga",
    "manga60",
    {
      "dataset_224/train/T/T_1_face0.png": png,
      "labels/train/T/T_1_face0.txt": Array.from({ length: 120 }, (_, i) => i / 150).join("\n"),
    },
    {},
    "",
    ["dataset_224/train/T/T_1_face0|manga|T"],
  ],
  [
    "yolo_pose",
    "ibug68",
    {
      "images/train/a.png": png,
      "labels/train/a.txt": `0 .5 .5 1 1 ${points.map(([x, y]) => `${x / 80} ${y / 80}`).join(" ")}\n`.repeat(2),
    },
    {},
    "",
    ["images/train/a|photo|images/train/a", "images/train/a#2|photo|images/train/a"],
  ],
  ["300w", "ibug68", { "helen/trainset/1_1.png": png, "helen/trainset/1_1.pts": formatPts(face) }, {}, "", [
    "helen/trainset/1_1|photo|helen/trainset/1_1",
  ]],
  [
    "helen",
    "helen194",
    {
      "train_1/100032540_1.jpg": png,
      "annotation/1.txt": `100032540_1\n${text(194).replaceAll(" ", " , ")}\n`,
    },
    { annotations: "annotation" },
    "",
    ["train_1/100032540_1|photo|train_1/100032540_1"],
  ],
];

for (const [format, schema, files, options, folder, want] of TREES) {
  Deno.test(`openFolder() reads a tree of ${format} (${Object.keys(files)[0]}) as ${schema}`, () =>
    inFolder(async (dir) => {
      await write(dir, files);
      const annotations = options.annotations && { annotations: `${dir}/${options.annotations}` };
      const path = folder ? `${dir}/${folder}` : dir;
      const { records } = await openFolder(path, { format, schema: SCHEMAS[schema], ...annotations });
      assert.deepEqual(records.map(({ source, style, group }) => `${source}|${style}|${group}`), want);
      for (const { landmarks } of records) assert.equal(landmarks.length, 2 * SCHEMAS[schema].count);
    }));
}

Deno.test("openFolder() names the format that a folder's files fit", () =>
  inFolder(async (dir) => {
    const hints: readonly [Files, FolderOptions, RegExp][] = [
      [{ "Comics/1.png": png, "Comics/1.ljson": ljson }, {}, /hint: its files fit format ljson\n/],
      [{ "images/1.png": png, "landmarks_gt/1.png.npy": array }, {}, /hint: its files fit format cariface\n/],
      [
        { "1.png": png, "1_ldmks.txt": text(70) },
        {},
        /hint: its files fit format facesynthetics, whose schema is ibug70\n/,
      ],
      [
        { "1.png": png, "all.xml": "<dataset><images/></dataset>" },
        {},
        /hint: all\.xml looks like format imglab: name it in annotations\n/,
      ],
      [
        { "1.png": png, "all.xml": "<dataset><images/></dataset>" },
        { format: "cvat", annotations: "all.xml" },
        /Cannot read .* as cvat: "annotations" is expected, not "dataset", hint: it looks like format imglab$/,
      ],
      [
        { "1.png": png, "1.pts": formatPts(new Float32Array(120)) },
        {},
        /1\.pts:65: there are 120 numbers instead of 136 \(manga60 has 60 landmarks: set schema\), hint: 68/,
      ],
      [{ "1.png": png, "1.txt": text(17) }, { format: "text" }, /hint: webcaricature17 has 17 landmarks: set schema/],
    ];
    for (const [i, [files, options, message]] of hints.entries()) {
      const path = `${dir}/${i}`;
      await write(path, files);
      const annotations = options.annotations && { annotations: `${path}/${options.annotations}` };
      await assert.rejects(openFolder(path, { ...options, ...annotations }), { name: "InputError", message });
    }
  }));

Deno.test("openFolder() finds listed images by other names, and none outside of the folder", () =>
  inFolder(async (dir) => {
    const landmarks = [...face].join();
    const columns = Array.from({ length: 136 }, (_, i) => `${i % 2 ? "y" : "x"}${i >> 1}`).join();
    const names = ["sub/a.png", "b.png", "twice.png", "../secret.png", `${dir}/secret.png`, "C:\\secret.png"];
    await write(dir, {
      "in/sub/a.png": png,
      "in/sub/b.png": png,
      "in/x/twice.png": png,
      "in/y/twice.png": png,
      "secret.png": png,
      "list.csv": [`name,${columns}`, ...names.map((name) => `${name},${landmarks}`)].join("\n"),
    });
    const { records, bad } = await openFolder(`${dir}/in`, {
      format: "csv",
      annotations: `${dir}/list.csv`,
      on_bad: "skip",
    });
    assert.deepEqual(records.map(({ file_name }) => file_name), ["sub/a.png", "sub/b.png"]);
    assert.deepEqual(bad.map(({ file, reason }) => [file.replace(dir, ""), reason.replace(dir, "")]), [
      ["../secret.png", "it is outside of /in, and only images in it are read"],
      ["/secret.png", "it is outside of /in, and only images in it are read"],
      ["C:\\secret.png", "it is outside of /in, and only images in it are read"],
      ["twice.png", "there is no such image"],
    ]);
  }));

Deno.test({
  name: "openFolder() reads real samples of Artistic-Faces, CariFace and FaceBlit (needs ../shared)",
  ignore: !(await Deno.stat("../shared/data/formats").then(() => true, () => false)),
  async fn() {
    for (
      const [format, folder, style] of [
        ["artface", "artface-ljson", "Comics"],
        ["ljson", "artface-ljson", "photo"],
        ["cariface", "cariface-npy", "photo"],
        ["faceblit", "faceblit", "stonebust"],
      ] as const
    ) {
      const { records } = await openFolder(`../shared/data/formats/${format === "ljson" ? "artface-ljson" : folder}`, {
        format,
      });
      assert.deepEqual(records.map((record) => record.style), [style]);
      const { image, landmarks } = { image: records[0]!, landmarks: records[0]!.landmarks };
      // Upright: the eyes are above the mouth, and the left one is on the left.
      assert.ok(landmarks[2 * 36]! < landmarks[2 * 45]!, image.file_name);
      assert.ok(landmarks[2 * 36 + 1]! < landmarks[2 * 57 + 1]!, image.file_name);
    }
  },
});

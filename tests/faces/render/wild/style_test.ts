import assert from "node:assert/strict";
import { renderFaces, samplePerson, sampleShot } from "../../../../faces/render/render.ts";
import { KINDS, loadStyle, styleFiles, type StyleRender, styleSchema } from "../../../../faces/render/styles.ts";
import { SIZES } from "../../../../faces/render/wild/ranges.ts";
import { stageShot } from "../../../../faces/render/wild/shot.ts";
import { drawWildStyle } from "../../../../faces/render/wild/style.ts";
import { openDevice } from "../../../../engine/device.ts";
import { Random } from "../../../../engine/rng.ts";

const styles = await Promise.all(styleFiles("pipelines/styles", "all").map(loadStyle));
const named = styles.filter(({ split }) => split !== "test").map(({ render }) => render);
const wild = (at: number, near = named) => drawWildStyle(new Random(1, "wild", at), near);
const COUNT = 2000;
const many = Array.from({ length: COUNT }, (_, at) => wild(at));

Deno.test("drawWildStyle() gives the same recipe again, another one at another place, and leaves named styles", () => {
  const before = JSON.stringify(named);
  assert.deepEqual(wild(5), many[5]);
  assert.equal(new Set(many.map((render) => JSON.stringify(render))).size, COUNT);
  assert.equal(JSON.stringify(named), before);
});

Deno.test("drawWildStyle() stays within the limits of a style file, with or without named styles", () => {
  const all = [...many, ...Array.from({ length: 200 }, (_, at) => wild(at, []))];
  for (const [at, render] of all.entries()) {
    const { error, data } = styleSchema.safeParse({ style: "x", doc: "X.", render });
    assert(!error, `recipe ${at}: ${error}`);
    assert.deepEqual(data.render, render, "no key is missing");
    const { palette, medium } = render;
    assert(palette.kind === "none" || palette.colours.length >= 2, `recipe ${at} has a palette`);
    const [least, most] = SIZES[medium.kind];
    assert(medium.size >= least && medium.size <= most, `recipe ${at}: ${medium.kind} of ${medium.size}`);
  }
});

Deno.test("drawWildStyle() draws every kind of everything, and what is far from every named style", () => {
  const share = (is: (render: StyleRender) => boolean) => many.filter(is).length / COUNT;
  for (const group of Object.keys(KINDS) as (keyof typeof KINDS)[]) {
    for (const kind of KINDS[group]) {
      assert(share((render) => render[group].kind === kind) > 0.004, `${group} ${kind}`);
    }
  }
  const light = (hex: string) => [1, 3, 5].reduce((sum, at) => sum + parseInt(hex.slice(at, at + 2), 16), 0) / 765;
  const kinds: Record<string, (render: StyleRender) => boolean> = {
    "flat skin in thin outlines": ({ shade, line, medium, fill }) =>
      shade.kind === "flat" && shade.plain > 0.7 && fill.amount > 0.9 && medium.kind === "none" && line.outline > 0 &&
      line.outline < 0.008,
    "lines alone": ({ fill, marks }) => fill.amount < 0.1 && marks.kind === "none",
    "light lines on dark ground": ({ fill, line, paper }) =>
      fill.amount < 0.5 && light(line.colour) > light(paper.colour) + 0.3,
    "large eyes and a small nose": ({ shape }) => shape.eye_scale > 1.35 && shape.nose_depth < 0.9,
    "long faces": ({ shape }) => shape.face_length > 1.1,
    "broad faces": ({ shape }) => shape.head_width > 1.2 && shape.face_length < 1,
    "narrow faces": ({ shape }) => shape.head_width < 0.8 && shape.face_length > 1,
    "eyes that are dots": ({ shape }) => shape.eye_scale < 0.6 && shape.eye_round > 0.1 && shape.iris_scale > 1.6,
    "round eyes with small pupils": ({ shape }) => shape.eye_open > 1.6 && shape.iris_scale < 0.9,
    "huge noses": ({ shape }) => shape.nose_width > 1.6 && shape.nose_depth > 1.3,
    "wide mouths with two rows of teeth": ({ shape }) => shape.mouth_width > 1.3 && shape.teeth > 1.5,
    "actors of prints, turned": ({ shape, line, shade }) =>
      shade.kind !== "smooth" && line.nose === "ridge" && shape.eye_scale < 0.85 && shape.mouth_width < 0.75 &&
      shape.brow_raise > 0.05,
    "eyes without a white": ({ colours }) => colours.eye_white < 0.5,
    "faces without a line to the neck": ({ line }) => line.outline > 0 && !line.jaw,
    "noses drawn by their folds": ({ line }) => line.outline > 0.002 && line.folds > 0.3,
    "one material": ({ colours, shade }) => shade.kind === "smooth" && colours.skin.length === 1 && shade.plain > 0.7,
    "grey": ({ fill }) => fill.saturation < 0.1,
    "negatives": ({ palette }) =>
      palette.kind !== "none" && light(palette.colours[0]!) > light(palette.colours.at(-1)!) + 0.3,
    "heavy strokes": ({ medium }) => ["oil", "strokes"].includes(medium.kind) && medium.size > 0.03,
  };
  for (const [name, is] of Object.entries(kinds)) assert(share(is) > 0.01, `${name}: ${share(is)}`);
});

Deno.test("drawWildStyle() is near a named style, between two, or far from all", () => {
  const [one, two] = ["ink", "anime"].map((style) => styles.find(({ name }) => name === style)!.render) as [
    StyleRender,
    StyleRender,
  ];
  let [near, between] = [0, 0];
  for (let at = 0; at < 300; at++) {
    const { line } = wild(at, [one, two]);
    const t = (line.outline - one.line.outline) / (two.line.outline - one.line.outline);
    if (Math.abs(t) < 1e-9 || Math.abs(t - 1) < 1e-9) near++;
    if (t > 0.2 && t < 0.8) between++;
  }
  assert(near > 0 && between > 50, `${near} at a style, ${between} between`);
});

Deno.test("renderFaces() draws each head in its own style, as it does alone, and landmarks depend on its proportions and annotators", async () => {
  const device = await openDevice();
  const heads = [0, 1, 2, 3, 4, 5].map((at) => ({
    person: samplePerson(new Random(1, "p").at(at)),
    shot: stageShot(sampleShot(new Random(1, "s").at(at)), wild(at), new Random(1, "stage", at), { yaw_deg: 40 }),
  }));
  const recipes = heads.map((_, at) => wild(at));
  const together = await renderFaces(device.gpu, heads, recipes, 48);
  for (const [at, head] of heads.entries()) {
    const [alone] = await renderFaces(device.gpu, [head], recipes[at]!, 48);
    assert.deepEqual(alone, together[at]);
    const { shape, landmarks } = recipes[at]!;
    const [plain] = await renderFaces(device.gpu, [head], { ...named[0]!, shape, landmarks }, 48);
    assert.deepEqual(plain!.landmarks, alone!.landmarks);
    assert.notDeepEqual(plain!.image, alone!.image);
    assert(alone!.landmarks.every((v) => v >= 0 && v <= 47), `landmarks of ${at}`);
  }
  await assert.rejects(renderFaces(device.gpu, heads, recipes.slice(1), 48), {
    message: "Cannot draw 6 heads in 5 styles: give one for all or one for each",
  });
  device.check();
  device.destroy();
});

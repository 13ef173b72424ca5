import assert from "node:assert/strict";
import { drawLandmarks } from "../../faces/draw.ts";
import { mirrorLandmarks } from "../../faces/landmarks.ts";
import { convertLandmarks, expandIndices, type LandmarkSchema, SCHEMAS } from "../../faces/schema.ts";
import { neutralFace } from "./neutral_face.ts";

const sorted = (points: Iterable<number>) => [...points].sort((a, b) => a - b);

for (const schema of Object.values<LandmarkSchema>(SCHEMAS)) {
  const { name, count, contours, dots, regions, mirror, left_half, normalisers, nose_root, maps } = schema;
  const all = Array.from({ length: count }, (_, i) => i);
  const mirrored = (points: readonly number[]) => sorted(points.map((point) => mirror[point]!));

  Deno.test(`${name}: the key is the name, and every landmark is in one region and is drawn`, () => {
    assert.equal(SCHEMAS[name], schema);
    assert.deepEqual(sorted(Object.values(regions).flat()), all);
    const lines = new Set(contours.flatMap(({ points }) => points));
    assert.deepEqual(sorted([...lines, ...dots.flatMap(({ points }) => points)]), all);
    assert.ok([...schema.names.keys()].every((point) => point < count));
    assert.equal(new Set(schema.names.values()).size, schema.names.size);
  });

  Deno.test(`${name}: the mirror undoes itself, keeps regions, contours, and swaps the halves`, () => {
    assert.deepEqual(mirror.map((to) => mirror[to]), all);
    for (const points of Object.values(regions)) assert.deepEqual(mirrored(points), sorted(points));
    for (const { name: line, points, closed } of contours) {
      const other = contours.find((one) => sorted(one.points).join() === mirrored(points).join());
      assert.ok(other, line);
      assert.equal(other.closed, closed);
      assert.equal(other.name, line.replace(/^(left|right)_/, (side) => side === "left_" ? "right_" : "left_"));
    }
    const fixed = all.filter((point) => mirror[point] === point);
    assert.deepEqual(sorted([...left_half, ...mirrored([...left_half]), ...fixed]), all);
    for (const { left, right } of Object.values(normalisers)) assert.deepEqual(mirrored(left), sorted(right));
    assert.deepEqual(mirrored(nose_root), sorted(nose_root));
    for (const [point, title] of schema.names) {
      const swapped = title.replace(/^(left|right)_/, (side) => side === "left_" ? "right_" : "left_");
      assert.equal(schema.names.get(mirror[point]!), swapped);
    }
  });

  Deno.test(`${name}: no two contours have one colour, and a drawing shows each`, () => {
    assert.equal(new Set(contours.map(({ colour }) => colour.join())).size, contours.length);
    const face = Float32Array.from(
      { length: 2 * count },
      (_, i) => 8 + (i % 2 ? 3 * Math.floor(i / 24) : 5 * (i / 2 % 12)),
    );
    const { data } = drawLandmarks(face, schema, 512, 64);
    const seen = new Set(Array.from({ length: 512 * 512 }, (_, i) => data.slice(3 * i, 3 * i + 3).join()));
    for (const { point_colour, points } of contours) {
      if (points.every((point) => contours.filter((one) => one.points.includes(point)).length === 1)) {
        assert.ok(seen.has(point_colour.map(Math.round).join()), `${point_colour}`);
      }
    }
    for (const { colour } of dots) assert.ok(seen.has(colour.join()), `${colour}`);
  });

  for (const [target, rows] of Object.entries(maps)) {
    Deno.test(`${name}: its map to ${target} has every landmark, and commutes with the mirror`, () => {
      const to = SCHEMAS[target as keyof typeof SCHEMAS];
      assert.equal(rows.length, to.count);
      rows.forEach((from, i) => assert.deepEqual(mirrored(from), sorted(rows[to.mirror[i]!]!), `landmark ${i}`));
      for (const [point, title] of to.names) {
        const [one, ...more] = rows[point]!;
        if (more.length === 0 && schema.names.has(one!)) assert.equal(schema.names.get(one!), title);
      }
    });
  }
}

Deno.test("ibug68: the middle of the face", () => {
  const fixed = SCHEMAS.ibug68.mirror.flatMap((to, from) => to === from ? [from] : []);
  assert.deepEqual(fixed, [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]);
});

Deno.test("ibug68: the drawing is, to the byte, that which ControlNets are trained on", async () => {
  const { data } = drawLandmarks(neutralFace(64), SCHEMAS.ibug68, 64);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data.slice()));
  assert.equal(digest.toHex(), "8460332c2e90f53fdc70d5bb6db048ae889c460ecb60f4d5e6f15141f91b8eaf");
});

Deno.test("expandIndices() takes indices and ranges, up and down", () => {
  assert.deepEqual(expandIndices(4), [4]);
  assert.deepEqual(expandIndices(["2-4", 9, "7-6"]), [2, 3, 4, 9, 7, 6]);
  assert.throws(() => expandIndices("2..4"), /Cannot read "2..4" as landmarks/);
});

Deno.test("convertLandmarks() takes points and means of points, of several faces", () => {
  const { wflw98, ibug68, cofw29 } = SCHEMAS;
  const faces = Float32Array.from({ length: 2 * 2 * 98 }, (_, i) => i);
  const found = convertLandmarks(faces, wflw98, ibug68);
  assert.equal(found.length, 2 * 2 * 68);
  assert.deepEqual([...found.subarray(2, 4), ...found.subarray(2 * 68 + 2, 2 * 68 + 4)], [4, 5, 200, 201]);
  const [, , inner] = wflw98.maps["cofw29"]!;
  assert.deepEqual(inner, [37, 38]);
  assert.deepEqual([...convertLandmarks(faces, wflw98, cofw29).subarray(4, 6)], [75, 76]);
  assert.equal(convertLandmarks(faces, wflw98, wflw98), faces);
  assert.throws(() => convertLandmarks(faces, cofw29, ibug68), {
    name: "InputError",
    message: /Cannot convert landmarks of cofw29 to ibug68: cofw29 contains no other schema/,
  });
});

Deno.test("mirrorLandmarks() of a converted face is the converted mirrored face", () => {
  const { wflw98, ibug68 } = SCHEMAS;
  const face = Float32Array.from({ length: 2 * 98 }, (_, i) => (i * 37) % 64);
  const one = mirrorLandmarks(convertLandmarks(face, wflw98, ibug68), ibug68, 64);
  assert.deepEqual(one, convertLandmarks(mirrorLandmarks(face, wflw98, 64), wflw98, ibug68));
});

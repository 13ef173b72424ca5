import assert from "node:assert/strict";
import { Random } from "../../../engine/rng.ts";
import { createImage, type Image, turnQuarter } from "../../../faces/data/image.ts";
import { facePlace } from "../../../faces/place.ts";
import { interocular, type Landmarks, similarity, transformLandmarks } from "../../../faces/landmarks.ts";
import { renderFaces, samplePerson, sampleShot } from "../../../faces/render/render.ts";
import { loadStyle } from "../../../faces/render/styles.ts";
import { SCHEMAS } from "../../../faces/schema.ts";
import { loadDetector } from "../../../models/detectors/detector.ts";
import { type Face, findFaces, findFacesOfEach, overlap } from "../../../models/detectors/find_faces.ts";
import type { FindOptions, FoundFace } from "../../../models/finder/finder.ts";
import { pairScore } from "../../../models/finder/pair_score.ts";
import { gpuTest } from "../../gpu.ts";
import { slow } from "../../slow.ts";
import { dotDetector, type DotFace, drawDots, finderOf, landmarksOf, placeOf } from "./dot_faces.ts";

const FACES: readonly DotFace[] = [
  { at: [80, 90], scale: 1, angle: 0.1 },
  { at: [300, 160], scale: 2.5, angle: -2.8 },
  { at: [190, 40], scale: 0.5, angle: 1.6 },
];

function page(faces: readonly DotFace[], width = 400, height = 300): Image {
  const image = createImage(width, height);
  faces.forEach((face) => drawDots(image, face));
  return image;
}

/** Largest distance of a landmark from its true place, parts of the distance of the eyes. */
function error({ landmarks }: Pick<Face, "landmarks">, face: DotFace): number {
  const truth = landmarksOf(face);
  const off = (p: number) => Math.hypot(landmarks[2 * p]! - truth[2 * p]!, landmarks[2 * p + 1]! - truth[2 * p + 1]!);
  return Math.max(...Array.from({ length: 68 }, (_, p) => off(p))) / interocular(truth, SCHEMAS.ibug68);
}

/** The place that a finder gives which is wrong by up to a tenth of the face and 25 degrees. */
function roughly(face: FoundFace, random: Random): FoundFace {
  const off = () => 0.1 * (2 * random.uniform() - 1) * face.side;
  const { x, y, side, angle, score } = face;
  return { x: x + off(), y: y + off(), side: side + off(), angle: angle + 0.44 * (2 * random.uniform() - 1), score };
}

Deno.test("findFaces() gives every face in the picture's own coordinates, from a rough finder", async () => {
  const random = new Random(2, "find_faces");
  const places = FACES.map((face, k) => roughly(placeOf(face, 0.9 - k / 10), random));
  const faces = await findFaces(finderOf(...places), dotDetector(), page(FACES));
  assert.equal(faces.length, 3);
  for (const [k, face] of faces.entries()) {
    assert.ok(error(face, FACES[k]!) < 0.02, `face ${k}: ${error(face, FACES[k]!)}`);
    assert.equal(face.score, 0.9 - k / 10);
    assert.ok(Math.abs(face.angle - FACES[k]!.angle) < 0.02);
    const xs = face.landmarks.filter((_, i) => i % 2 === 0), ys = face.landmarks.filter((_, i) => i % 2 === 1);
    const { x, y, width, height } = face.box;
    assert.deepEqual([x, y], [Math.min(...xs), Math.min(...ys)]);
    assert.ok(Math.abs(x + width - Math.max(...xs)) + Math.abs(y + height - Math.max(...ys)) < 1e-4);
    // The detector's own is a pixel of a crop of 64, and the last pass moves little.
    const own = 1.54 * placeOf(FACES[k]!).side / 64;
    assert.ok(face.uncertainty_px.every((px) => px > 0.95 * own && px < 1.5 * own));
  }
});

Deno.test("findFaces() finds how a face is turned where the finder is wrong by quarters", async () => {
  for (const off of [0.4, Math.PI / 2 - 0.3, Math.PI, -Math.PI / 2, 2.6]) {
    const detector = dotDetector();
    const places = FACES.map((face) => {
      const place = placeOf(face);
      return { ...place, angle: place.angle + off };
    });
    const faces = await findFaces(finderOf(...places), detector, page(FACES));
    assert.equal(faces.length, 3);
    for (const [k, face] of faces.entries()) {
      assert.ok(error(face, FACES[k]!) < 0.02, `face ${k}, ${off} off: ${error(face, FACES[k]!)}`);
      assert.ok(face.uncertainty_px.every((px) => px < 0.1 * placeOf(FACES[k]!).side));
    }
    // Three more crops of each face that is in doubt, none of others.
    assert.deepEqual(detector.calls.slice(0, 2), off === 0.4 ? [3, 3] : [3, 4]);
  }
});

Deno.test("findFaces() is less sure of a face that another pass moves far", async () => {
  const image = page(FACES.slice(0, 1)), place = placeOf(FACES[0]!);
  const doubt = async (passes: number, shift: number) => {
    const [face] = await findFaces(finderOf({ ...place, x: place.x + shift }), dotDetector(), image, { passes });
    return face!.uncertainty_px[0]!;
  };
  assert.ok(await doubt(2, 0) < 2);
  // From outside, a part of the dots is in the first crop only.
  assert.ok(await doubt(2, 45) > 5);
  assert.ok(await doubt(8, 45) < 2, "the last passes are near each other");
});

Deno.test("findFaces() gives one face for two places that lead to the same, and keeps max_faces", async () => {
  const [near, far] = [placeOf(FACES[0]!, 0.8), placeOf(FACES[1]!, 0.7)];
  const twice = finderOf({ ...near, x: near.x - 9, score: 0.95 }, near, far);
  const all = await findFaces(twice, dotDetector(), page(FACES));
  assert.deepEqual(all.map(({ score }) => score), [0.95, 0.7]);
  const two = await findFaces(twice, dotDetector(), page(FACES), { max_faces: 2 });
  assert.equal(two.length, 2, "max_faces counts faces, not places");
  assert.equal((await findFaces(twice, dotDetector(), page(FACES), { max_faces: 1 })).length, 1);
  assert.deepEqual(await findFaces(finderOf(), dotDetector(), page([])), []);
});

Deno.test("findFaces() scores by finder and detector where they were calibrated together, and only there", async () => {
  const with_detector = { detector: "0123abcd", slope: 1, doubt: -4, shift: -14, least_score: 0.1 };
  const nowhere = { x: 60, y: 250, side: 60, angle: 0, score: 0.85 };
  const asked: FindOptions[] = [];
  const places = [nowhere, placeOf(FACES[0]!, 0.2), placeOf(FACES[1]!, 0.6)];
  const finder = {
    config: { with_detector },
    find: (_image: Image, options: FindOptions = {}) => {
      asked.push(options);
      return Promise.resolve(places.filter(({ score }) => score >= options.min_score!));
    },
  };
  const image = page(FACES);
  const detector = { ...dotDetector(), fingerprint: "0123abcd" };
  const both = await findFaces(finder, detector, image);
  assert.deepEqual(asked, [{ min_score: 0.1 }]);
  // What has landmarks without doubt is a face, though the finder was less sure of it.
  assert.equal(both.length, 2);
  assert.ok(error(both[0]!, FACES[1]!) < 0.02 && error(both[1]!, FACES[0]!) < 0.02);
  assert.deepEqual(
    both.map(({ score }) => score),
    both.map((face, k) => pairScore(with_detector, k === 0 ? 0.6 : 0.2, face)),
  );
  assert.ok(both[1]!.score! >= 0.4 && both.every(({ doubt }) => doubt > 0.01 && doubt < 0.03));
  const [best, ...others] = await findFaces(finder, detector, image, { max_faces: 1 });
  assert.deepEqual([best!.landmarks, others], [both[0]!.landmarks, []]);
  const all = await findFaces(finder, detector, image, { min_score: 0 });
  assert.ok(all.length === 3 && all[2]!.score! < 0.4, "a least score below that of the calibration");
  assert.equal(asked.at(-1)!.min_score, 0);

  const strangers = [dotDetector(), { ...dotDetector(), fingerprint: "89ef0123" }];
  for (const other of strangers) {
    const own = await findFaces(finder, other, image);
    assert.deepEqual(own.map(({ score }) => score), [0.85, 0.6], "another detector: the finder's own scores");
  }
  const known = [placeOf(FACES[0]!)];
  for await (const [, [given]] of findFacesOfEach(finder, detector, [0], () => ({ image, places: known }))) {
    assert.equal(given!.score, null);
  }
  await assert.rejects(findFaces(finder, detector, image, { min_score: 2 }), /min_score 2/);
  await assert.rejects(findFaces(finder, detector, image, { max_faces: 0 }), /max_faces 0/);
});

Deno.test("findFacesOfEach() fills batches from several pictures, keeps their order and holds few", async () => {
  const detector = dotDetector(4);
  let read = 0;
  const counts = [1, 0, 2, 0, 0, 3, 1, 1, 0];
  function* items() {
    for (const count of counts) {
      read++;
      yield count;
    }
  }
  const finder = {
    find: ({ data }: Image) => Promise.resolve(FACES.filter((_, k) => k < data[0]!).map((face) => placeOf(face))),
  };
  const pictureOf = (count: number) => {
    const image = page(FACES.slice(0, count));
    image.data[0] = count;
    return { image };
  };
  const seen: number[] = [];
  for await (const [item, faces] of findFacesOfEach(finder, detector, items(), pictureOf)) {
    assert.equal(faces.length, item);
    faces.forEach((face, k) => assert.ok(error(face, FACES[k]!) < 0.02));
    seen.push(item);
    assert.ok(read <= seen.length + 5, `${read} read at result ${seen.length}`);
  }
  assert.deepEqual(seen, counts);
  // 1 + 2 + 3 faces wait for each other, and 1 + 1; each goes through two passes at least.
  assert.deepEqual(detector.calls.slice(0, 4), [4, 2, 4, 2]);
});

Deno.test("findFacesOfEach() takes given places in their order, without the finder, and passes other items on", async () => {
  const nobody = { find: () => Promise.reject(new Error("the finder was asked")) };
  const image = page(FACES), places = FACES.map((face) => placeOf(face)).toReversed();
  const items = ["none", "given"], results = [];
  const pictureOf = (item: string) => item === "given" ? { image, places } : null;
  for await (const result of findFacesOfEach(nobody, dotDetector(), items, pictureOf)) results.push(result);
  assert.deepEqual(results.map(([item, faces]) => [item, faces.length]), [["none", 0], ["given", 3]]);
  results[1]![1].forEach((face, k) => {
    assert.equal(face.score, null);
    assert.ok(error(face, FACES[2 - k]!) < 0.02);
  });
});

/** A finder of the faces of a picture with a white pixel in its left top corner, however that is turned. */
function seeingTurns(faces: readonly FoundFace[]) {
  const turns: number[] = [];
  return {
    turns,
    find({ width, height, data }: Image) {
      const corners = [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]] as const;
      const quarters = corners.findIndex(([x, y]) => data[(y * width + x) * 3] === 255);
      turns.push(quarters);
      const upright = quarters % 2 === 0 ? { width, height } : { width: height, height: width };
      return Promise.resolve(faces.map((face) => {
        let [x, y, angle] = [face.x, face.y, face.angle];
        for (let k = 0; k < quarters; k++) {
          [x, y] = [(k % 2 === 0 ? upright.height : upright.width) - 1 - y, x];
          angle += Math.PI / 2;
        }
        return { ...face, x, y, angle: Math.atan2(Math.sin(angle), Math.cos(angle)) };
      }));
    },
  };
}

Deno.test("findFaces() gives the same faces in a picture that is turned by quarters", async () => {
  const two = [FACES[0]!, { at: [250, 160], scale: 1.5, angle: -0.2 }] as const;
  let image = page(two);
  image.data.fill(255, 0, 3);
  const { width, height } = image;
  const random = new Random(3, "turned"), rough = two.map((face) => roughly(placeOf(face), random));
  const upright = await findFaces(seeingTurns(rough), dotDetector(), image);
  for (let quarters = 1; quarters < 4; quarters++) {
    image = turnQuarter(image);
    const finder = seeingTurns(rough);
    const faces = await findFaces(finder, dotDetector(), image);
    assert.deepEqual(finder.turns, [quarters, 0], "the finder looks at it as it is, then upright");
    assert.equal(faces.length, 2);
    for (const [k, face] of faces.entries()) {
      const { landmarks, angle, uncertainty_px, box } = upright[k]!;
      const want = landmarks.slice();
      for (let p = 0; p < 68; p++) {
        let [x, y] = [want[2 * p]!, want[2 * p + 1]!];
        for (let q = 0; q < quarters; q++) [x, y] = [(q % 2 === 0 ? height : width) - 1 - y, x];
        want.set([x, y], 2 * p);
      }
      assert.ok(face.landmarks.every((px, i) => Math.abs(px - want[i]!) < 1e-3));
      assert.deepEqual(face.uncertainty_px, uncertainty_px);
      const turn = face.angle - angle - quarters * Math.PI / 2;
      assert.ok(Math.abs(Math.atan2(Math.sin(turn), Math.cos(turn))) < 1e-6);
      const [w, h] = quarters % 2 === 0 ? [box.width, box.height] : [box.height, box.width];
      assert.ok(Math.abs(face.box.width - w) < 1e-3 && Math.abs(face.box.height - h) < 1e-3);
    }
  }
});

Deno.test("findFaces() leaves a picture as it is whose faces are turned by different angles, or by no quarter", async () => {
  const image = page(FACES);
  image.data.fill(255, 0, 3);
  const finder = seeingTurns(FACES.map((face, k) => placeOf(face, k === 0 ? 0.8 : 0.9 - k / 10)));
  assert.equal((await findFaces(finder, dotDetector(), image)).length, 3);
  assert.deepEqual(finder.turns, [0]);
  // One that is on its side wherever it looks: the picture as it is counts.
  const sideways = { ...placeOf(FACES[0]!), angle: 1.5 };
  const [face] = await findFaces(finderOf(sideways), dotDetector(), image);
  const [same] = await findFaces(finderOf({ ...sideways, score: 0 }), dotDetector(), image);
  assert.deepEqual(face!.landmarks, same!.landmarks);
});

Deno.test("overlap() is intersection over union", () => {
  const box = { x: 0, y: 0, width: 4, height: 2 };
  assert.equal(overlap(box, box), 1);
  assert.equal(overlap(box, { x: 2, y: 1, width: 4, height: 2 }), 2 / 14);
  assert.equal(overlap(box, { x: 4, y: 0, width: 1, height: 1 }), 0);
});

gpuTest("findFaces() gives the same points in a picture that is turned, from the shipped detector", async (device) => {
  using detector = await loadDetector(device, "models/faces", { partial: true });
  const { render } = await loadStyle("pipelines/styles/oil_painting.yaml");
  const head = { person: samplePerson(new Random(4, "person")), shot: sampleShot(new Random(4, "shot")) };
  const [face] = await renderFaces(device.gpu, [head], [render], 160);
  let { image } = face!, truth = face!.landmarks, first: Face | undefined;
  for (let quarters = 0; quarters < 4; quarters++) {
    // A finder's error, the same in each picture.
    const place = facePlace(truth), side = 1.1 * place.side;
    const [found] = await findFaces(finderOf({ ...place, side, score: 0.9 }), detector, image);
    first ??= found!;
    const iod = interocular(truth, SCHEMAS.ibug68);
    assert.ok(nmeOf(found!.landmarks, truth) < 0.15, `${nmeOf(found!.landmarks, truth)} from the truth`);
    const back = transformLandmarks(found!.landmarks, similarity([79.5, 79.5], 1, -quarters * Math.PI / 2));
    assert.ok(
      nmeOf(back, first.landmarks) < 0.01,
      `${quarters} quarters: ${nmeOf(back, first.landmarks)} of ${iod} px`,
    );
    // A crop that stands on its head is put right.
    const [wrong] = await findFaces(
      finderOf({ ...place, side, angle: place.angle + Math.PI, score: 0.9 }),
      detector,
      image,
    );
    const apart = nmeOf(wrong!.landmarks, found!.landmarks);
    assert.ok(apart < 0.01, `${apart} from the landmarks of the upright crop`);
    [image, truth] = [turnQuarter(image), transformLandmarks(truth, similarity([79.5, 79.5], 1, Math.PI / 2))];
  }
}, slow);

/** Mean distance, parts of the distance of the eyes of the second. */
function nmeOf(a: Landmarks, b: Landmarks): number {
  const off = Array.from({ length: 68 }, (_, p) => Math.hypot(a[2 * p]! - b[2 * p]!, a[2 * p + 1]! - b[2 * p + 1]!));
  return off.reduce((sum, px) => sum + px) / 68 / interocular(b, SCHEMAS.ibug68);
}

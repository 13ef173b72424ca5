import assert from "node:assert/strict";
import { Random } from "../../../engine/rng.ts";
import { createImage, type Image, turnQuarter } from "../../../faces/data/image.ts";
import { decodeImage, encodeJpeg } from "../../../faces/data/image_file.ts";
import { facePlace } from "../../../faces/place.ts";
import { interocular, type Landmarks, similarity, transformLandmarks } from "../../../faces/landmarks.ts";
import { DEFAULT_POSE, renderFaces, samplePerson, sampleShot } from "../../../faces/render/render.ts";
import { loadStyle } from "../../../faces/render/styles.ts";
import { composePage } from "../../../faces/scenes/page.ts";
import { SCHEMAS } from "../../../faces/schema.ts";
import { loadDetector } from "../../../models/detectors/detector.ts";
import type { LandmarkDetector } from "../../../models/detectors/face_passes.ts";
import { type Face, findFaces, findFacesOfEach, overlap } from "../../../models/detectors/find_faces.ts";
import { type FindOptions, type FoundFace, loadFinder } from "../../../models/finder/finder.ts";
import { pairScore } from "../../../models/finder/pair_score.ts";
import { withOrientation } from "../../faces/data/exif.ts";
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
  const { x, y, side, angle } = face;
  const turn = 0.44 * (2 * random.uniform() - 1);
  return { ...face, x: x + off(), y: y + off(), side: side + off(), angle: angle + turn };
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
  const nowhere = { x: 60, y: 250, side: 60, angle: 0, angle_sure: 0.8, score: 0.85 };
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
  assert.ok(asked.length > 0 && asked.every(({ min_score }) => min_score === 0.1));
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

Deno.test("findFaces() looks no more at a place whose score is out of reach, unless a low score is wanted", async () => {
  const with_detector = { detector: "0123abcd", slope: 1, doubt: -8, shift: -28, least_score: 0.1 };
  const nowhere = { x: 60, y: 250, side: 60, angle: 0, angle_sure: 0.8, score: 0.85 };
  const look = async (min_score: number) => {
    const detector = { ...dotDetector(), fingerprint: "0123abcd" };
    const finder = { ...finderOf(placeOf(FACES[0]!, 0.6), nowhere), config: { with_detector } };
    const faces = await findFaces(finder, detector, page(FACES), { min_score });
    return { faces, calls: detector.calls };
  };
  const some = await look(0.35), low = await look(0.1), all = await look(0);
  assert.ok(some.faces.length === 1 && error(some.faces[0]!, FACES[0]!) < 0.02);
  assert.deepEqual(some.calls, [2, 3, 1], "both, three turns of that which is none, and the face again");
  assert.deepEqual(low.calls.slice(0, 3), [2, 3, 2]);
  assert.deepEqual(low.faces, some.faces);
  assert.equal(all.faces.length, 2);
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
    // The longer side tells the number of faces.
    find: ({ width, height }: Image) =>
      Promise.resolve(FACES.slice(0, Math.max(width, height) - 400).map((face) => placeOf(face))),
  };
  const pictureOf = (count: number) => ({ image: page(FACES.slice(0, count), 400 + count) });
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
  const image = page(FACES), places = FACES.map((face) => placeOf(face)).toReversed();
  const items = ["none", "given"], results = [];
  const pictureOf = (item: string) => item === "given" ? { image, places } : null;
  for await (const result of findFacesOfEach(null, dotDetector(), items, pictureOf)) results.push(result);
  assert.deepEqual(results.map(([item, faces]) => [item, faces.length]), [["none", 0], ["given", 3]]);
  results[1]![1].forEach((face, k) => {
    assert.equal(face.score, null);
    assert.ok(error(face, FACES[2 - k]!) < 0.02);
  });
  const withoutPlaces = findFacesOfEach(null, dotDetector(), [0], () => ({ image }));
  await assert.rejects(withoutPlaces.next(), /without places: there is no finder/);
});

Deno.test("findFacesOfEach() looks at a given place from all sides, unless its angle is known", async () => {
  const [face] = FACES, image = page([face!]), place = placeOf(face!);
  const look = async (turn: number, angles_known: boolean) => {
    const detector = dotDetector(), places = [{ ...place, angle: place.angle + turn }];
    for await (const [, [found]] of findFacesOfEach(null, detector, [0], () => ({ image, places, angles_known }))) {
      return { found: found!, calls: detector.calls };
    }
    throw new Error("no face");
  };
  const turned = await look(Math.PI, false);
  assert.ok(error(turned.found, face!) < 0.02);
  assert.deepEqual(turned.calls.slice(0, 2), [1, 3]);
  const known = await look(0, true);
  assert.ok(error(known.found, face!) < 0.02);
  const wrong = await look(Math.PI, true);
  assert.ok([known, wrong].every(({ calls }) => calls.every((crops) => crops === 1)), "a crop a pass");
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
      return Promise.resolve(
        faces.map((face) => {
          let [x, y, angle] = [face.x, face.y, face.angle];
          for (let k = 0; k < quarters; k++) {
            [x, y] = [(k % 2 === 0 ? upright.height : upright.width) - 1 - y, x];
            angle += Math.PI / 2;
          }
          return { ...face, x, y, angle: Math.atan2(Math.sin(angle), Math.cos(angle)) };
        }),
      );
    },
  };
}

/** Faces of a picture, from left to right, and those of the same one turned clockwise by quarters as they are in it. */
async function foundTurned(image: Image, found: readonly FoundFace[], quarters: number) {
  let turned = image;
  for (let k = 0; k < quarters; k++) turned = turnQuarter(turned);
  const finder = seeingTurns(found);
  const faces = await findFaces(finder, dotDetector(), turned);
  // Turned about the middle of the picture, and to that of the turned one.
  const back = similarity(middleOf(turned), 1, -quarters * Math.PI / 2, [
    (image.width - turned.width) / 2,
    (image.height - turned.height) / 2,
  ]);
  const inPicture = faces.map((face) => ({ ...face, landmarks: transformLandmarks(face.landmarks, back) }));
  return {
    turns: finder.turns,
    faces: inPicture.toSorted((a, b) => a.landmarks[0]! - b.landmarks[0]!),
  };
}

const middleOf = ({ width, height }: Image) => [(width - 1) / 2, (height - 1) / 2] as const;

Deno.test("findFaces() gives the same faces in a picture that is turned by quarters", async () => {
  const upright = [FACES[0]!, { at: [250, 160], scale: 1.5, angle: -0.2 }] as const;
  const sideways = upright.map((face) => ({ ...face, angle: face.angle + 1.6 }));
  const random = new Random(3, "turned");
  for (const shown of [upright, sideways, FACES]) {
    const image = page(shown), found = shown.map((face) => roughly(placeOf(face), random));
    image.data.fill(255, 0, 3);
    const asItIs = await foundTurned(image, found, 0);
    assert.equal(asItIs.faces.length, shown.length);
    for (let quarters = 1; quarters < 4; quarters++) {
      const { turns, faces } = await foundTurned(image, found, quarters);
      assert.deepEqual(turns, [0, 1, 2, 3].map((k) => (quarters + k) % 4));
      assert.equal(faces.length, shown.length);
      for (const [k, face] of faces.entries()) {
        const { landmarks, angle, uncertainty_px, box } = asItIs.faces[k]!;
        assert.ok(face.landmarks.every((px, i) => Math.abs(px - landmarks[i]!) < 1e-3));
        assert.deepEqual(face.uncertainty_px, uncertainty_px);
        const turn = face.angle - angle - quarters * Math.PI / 2;
        assert.ok(Math.abs(Math.atan2(Math.sin(turn), Math.cos(turn))) < 1e-6);
        const [w, h] = quarters % 2 === 0 ? [box.width, box.height] : [box.height, box.width];
        assert.ok(Math.abs(face.box.width - w) < 1e-3 && Math.abs(face.box.height - h) < 1e-3);
      }
    }
  }
});

Deno.test("findFaces() leaves a picture as it is in which the finder sees the same however it is turned", async () => {
  const image = page(FACES), sideways = { ...placeOf(FACES[0]!), angle: 1.5 };
  const [face] = await findFaces(finderOf(sideways), dotDetector(), image);
  const [same] = await findFaces(finderOf({ ...sideways, score: 0 }), dotDetector(), image);
  assert.deepEqual(face!.landmarks, same!.landmarks);
});

Deno.test("findFaces() turns a face against the finder's angle only where the detector is surer than the finder", async () => {
  // Landmarks are found in every crop, in those of one quarter with less spread.
  const spreads = (sharp: number): LandmarkDetector => {
    const detector = dotDetector();
    let image = 0;
    return {
      ...detector,
      predict: async (images, side) => {
        const { landmarks, covariance } = await detector.predict(images, side);
        covariance.forEach((_, i) => covariance[i] = image + Math.floor(i / 204) === 2 ? 4.5 * sharp ** 2 : 4.5);
        image += images.length / (side * side * 3);
        return { landmarks, covariance };
      },
    };
  };
  const [face] = FACES, place = placeOf(face!), image = page([face!]);
  const turned = async (sharp: number, angle_sure: number) => {
    const [found] = await findFaces(finderOf({ ...place, angle_sure }), spreads(sharp), image, { passes: 2 });
    return error(found!, face!) > 0.5;
  };
  assert.deepEqual(await Promise.all([turned(0.95, 0), turned(0.95, 0.5), turned(0.9, 0.5)]), [true, false, true]);
  assert.deepEqual(await Promise.all([turned(0.9, 1), turned(0.8, 1)]), [false, true]);
});

/** A detector of one feature, in doubt about every crop: a little more about upright ones, whose feature is 1. */
function featureDetector(otherFeature: (call: number) => number): LandmarkDetector {
  const dots = dotDetector();
  return {
    ...dots,
    fingerprint: "0123abcd",
    predict: async (images, side) => {
      const { landmarks, covariance } = await dots.predict(images, side), count = covariance.length / 204;
      const upright = Array.from({ length: count }, (_, k) => covariance[204 * k] === 0.5);
      const other = otherFeature(dots.calls.length);
      covariance.forEach((_, i) => covariance[i] = upright[Math.floor(i / 204)] ? 9 : 8);
      return { landmarks, covariance, features: Float32Array.from(upright, (is) => is ? 1 : other) };
    },
  };
}

/** A finder of a face on its head, without a sure angle, whose calibration chooses turns by doubt and feature. */
function headstandFinder(face: DotFace, factor: number, detector = "0123abcd") {
  const turn = { sure: 0, doubt: -1, features: [factor] }, place = placeOf(face);
  const config = { with_detector: { detector, slope: 1, doubt: 0, shift: 0, least_score: 0.1, turn } };
  return { ...finderOf({ ...place, angle_sure: 0, angle: place.angle + Math.PI }), config };
}

Deno.test("findFaces() chooses the turn of a crop by the finder's calibration with the detector, where there is one", async () => {
  const face = FACES[0]!, image = page([face]);
  const errorBy = async (factor: number, name?: string) => {
    const finder = headstandFinder(face, factor, name);
    const [found] = await findFaces(finder, featureDetector(() => 0), image, { passes: 2 });
    return error(found!, face);
  };
  assert.ok(await errorBy(1) < 0.02);
  assert.ok(await errorBy(0) > 0.5, "without the feature the doubt decides");
  assert.ok(await errorBy(1, "89ef0123") > 0.5, "the calibration is of another detector");
});

Deno.test("findFaces() follows two turns that are nearly as likely to the last look, of crops with enough pixels", async () => {
  const errorOf = async (scale: number, factor: number) => {
    const face = { ...FACES[0]!, scale };
    // The first look is a little surer of the crop at the finder's angle; the last ones see that another is upright.
    const detector = featureDetector((call) => call === 1 ? 1.2 : 0);
    const [found] = await findFaces(headstandFinder(face, factor), detector, page([face]));
    return error(found!, face);
  };
  // log(2.2 / 2) is 0.095: ten times it is within reach of the later looks, twenty times it is not.
  assert.ok(await errorOf(1, 10) < 0.02);
  assert.ok(await errorOf(1, 20) > 0.5, "one turn is much likelier");
  assert.ok(await errorOf(0.35, 10) > 0.5, "a crop of few pixels");
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
    const [found] = await findFaces(finderOf({ ...place, side, angle_sure: 0.9, score: 0.9 }), detector, image);
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
      finderOf({ ...place, side, angle: place.angle + Math.PI, angle_sure: 0.2, score: 0.9 }),
      detector,
      image,
    );
    const apart = nmeOf(wrong!.landmarks, found!.landmarks);
    assert.ok(apart < 0.01, `${apart} from the landmarks of the upright crop`);
    [image, truth] = [turnQuarter(image), transformLandmarks(truth, similarity([79.5, 79.5], 1, Math.PI / 2))];
  }
}, slow);

gpuTest(
  "findFaces() gives the same points in a photograph that its EXIF data turn, and in a page of turned faces",
  async (device) => {
    using finder = await loadFinder(device, "models/faces/finder");
    using detector = await loadDetector(device, "models/faces", { partial: true });
    const persons = new Random(5, "persons"), shots = new Random(5, "shots"), side = 128;
    const heads = Array.from({ length: 4 }, (_, k) => ({
      person: samplePerson(persons.at(k)),
      shot: sampleShot(shots.at(k), { ...DEFAULT_POSE, heavy: false }),
    }));
    const { render } = await loadStyle("pipelines/styles/photo.yaml");
    const faces = await renderFaces(device.gpu, heads, render, side);
    const photograph = createImage(2 * side + 47, 2 * side + 20, [120, 140, 150]);
    faces.forEach(({ image }, k) => {
      const left = 15 + (k % 2) * (side + 17), top = 4 + (k >> 1) * (side + 9);
      for (let y = 0; y < side; y++) {
        const row = image.data.subarray(y * side * 3, (y + 1) * side * 3);
        photograph.data.set(row, ((top + y) * photograph.width + left) * 3);
      }
    });
    for (const picture of [photograph, composePage(faces, 420, new Random(6, "page")).image]) {
      const jpeg = encodeJpeg(picture, 95), stored = decodeImage(jpeg);
      const asItIs = await findFaces(finder, detector, stored);
      assert.ok(asItIs.length >= 4, `${asItIs.length} faces`);
      for (const [k, orientation] of [6, 3, 8].entries()) {
        const turned = decodeImage(withOrientation(jpeg, orientation));
        const back = similarity(middleOf(turned), 1, -(k + 1) * Math.PI / 2, [
          (stored.width - turned.width) / 2,
          (stored.height - turned.height) / 2,
        ]);
        const found = (await findFaces(finder, detector, turned)).map((face) =>
          transformLandmarks(face.landmarks, back)
        );
        assert.equal(found.length, asItIs.length);
        const apart = asItIs.map(({ landmarks }) => Math.min(...found.map((other) => nmeOf(other, landmarks))));
        assert.ok(Math.max(...apart) < 0.01, `orientation ${orientation}: ${apart} of the distance of the eyes`);
      }
    }
  },
  slow,
);

/** Mean distance, parts of the distance of the eyes of the second. */
function nmeOf(a: Landmarks, b: Landmarks): number {
  const off = Array.from({ length: 68 }, (_, p) => Math.hypot(a[2 * p]! - b[2 * p]!, a[2 * p + 1]! - b[2 * p + 1]!));
  return off.reduce((sum, px) => sum + px) / 68 / interocular(b, SCHEMAS.ibug68);
}

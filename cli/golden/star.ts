/**
 * Golden checks of the landmark side: losses, read-outs, metrics and the moving average of STAR.
 *
 * @module
 */

import { z } from "zod";
import { cropSquare, cropTransform } from "../../faces/data/image.ts";
import { transformLandmarks } from "../../faces/landmarks.ts";
import { failureRate, nmePerImage } from "../../faces/metrics.ts";
import { edgeCurve, pointMap, starMaps } from "../../models/detectors/star_targets.ts";
import {
  fromStar,
  star,
  STAR_DERIVED,
  starBox,
  starConfig,
  starTrainingLoss,
  toStar,
} from "../../models/detectors/star.ts";
import { add } from "../../ops/add.ts";
import { gradients } from "../../ops/autodiff.ts";
import { awingLoss } from "../../ops/awing.ts";
import { concat } from "../../ops/concat.ts";
import { conv2d } from "../../ops/conv2d.ts";
import { eigen2x2 } from "../../ops/eigen_2x2.ts";
import { heatmapMoments } from "../../ops/heatmap.ts";
import { mse } from "../../ops/mse.ts";
import { mul } from "../../ops/mul.ts";
import { batchNormTrain } from "../../ops/norm.ts";
import { adamHyper } from "../../ops/adam.ts";
import { adamUpdates } from "../../ops/optimizer.ts";
import { smoothDistance } from "../../ops/smooth_l1.ts";
import { heatmapSpread, type StarDistance, starLoss } from "../../ops/star_loss.ts";
import { sub } from "../../ops/sub.ts";
import { mean } from "../../ops/sum.ts";
import { sumLast } from "../../ops/sum_last.ts";
import { wingDistance } from "../../ops/wing.ts";
import { Graph, type Value } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { Tensor } from "../../engine/tensor.ts";
import { allTensors, type GoldenCase, type GoldenCheck, parsePart, tensorOf } from "./case.ts";
import { compareGroups, type CompareOptions, exact, goldenError } from "./compare.ts";
import { channelsFirst, channelsLast, inputsOf, readOutputs } from "./layout.ts";
import { networkCheck } from "./network.ts";

type Values = Record<string, Value>;

/** Inputs of a case by name. */
type Inputs = (name: string) => Value;

/** A check of functions of the case's inputs: builds its outputs, by the case's names, and compares them. */
function functions(
  build: (inputs: Inputs, names: readonly string[]) => Values,
  options: CompareOptions = {},
): GoldenCheck {
  return async (c, device) => {
    const want = await allTensors(c);
    const { at, data } = inputsOf(new Graph(), want);
    const outputs = build(at, [...want.keys()]);
    const exe = new Executable(device, { outputs });
    exe.run(data);
    const got = await readOutputs(exe, outputs);
    exe.destroy();
    return compareGroups(c, want, got, options);
  };
}

/** Value and gradient of losses, under `value/NAME` and `grad/NAME`. */
function lossAndGradient(losses: Values, wrt: Value): Values {
  return Object.fromEntries(
    Object.entries(losses).flatMap(([name, loss]) => [
      [`value/${name}`, loss],
      [`grad/${name}`, gradients(loss, [wrt])[0] as Value],
    ]),
  );
}

/** Refuses a case of another constant than the loss has here. */
function builtWith(c: GoldenCase, constants: Readonly<Record<string, unknown>>): void {
  const schema = z.strictObject(
    Object.fromEntries(Object.entries(constants).map(([key, value]) => [key, z.literal(value as number)])),
  );
  parsePart(c, schema);
}

/** `awing-loss`. */
export const awingCheck: GoldenCheck = (c, device) => {
  builtWith(c, { omega: 14, theta: 0.5, epsilon: 1, alpha: 2.1, use_weight_map: true });
  return functions((at) =>
    lossAndGradient({
      weighted: awingLoss(at("output"), at("target")),
      plain: awingLoss(at("output"), at("target"), { weighted: false }),
    }, at("output"))
  )(c, device);
};

const smoothConfig = z.strictObject({ smoothl1_scale: z.number(), wing_omega: z.number(), wing_epsilon: z.number() });

/** `star-smoothl1-wing`. */
export const smoothL1WingCheck: GoldenCheck = (c, device) => {
  const { smoothl1_scale, wing_omega: omega, wing_epsilon: epsilon } = parsePart(c, smoothConfig);
  return functions((at) => {
    const difference = sub(at("output"), at("target"));
    const squared = sumLast(mul(difference, difference));
    return lossAndGradient({
      smoothl1: mean(smoothDistance(squared, smoothl1_scale)),
      wing: mean(wingDistance(squared, { omega, epsilon })),
    }, at("output"));
  })(c, device);
};

/** `star-decoder`. */
export const starDecoderCheck: GoldenCheck = functions((at) => ({
  "output/coords": heatmapMoments(at("heatmap")).mean,
}));

/** `star-loss`: values, gradients, and the mean, covariance and eigenvalues on the way. */
export const starLossCheck: GoldenCheck = async (c, device) => {
  const distances: Record<string, StarDistance> = { smoothl1: "smooth_l1", l1: "l1", l2: "l2", wing: "wing" };
  parsePart(c, z.strictObject({ heatmap: z.array(z.int()), EPSILON: z.literal(1e-5) }));
  const want = await allTensors(c);
  const other = ["cov", "eig", "eigenvectors"];
  const results = await functions((at, names) => {
    const [heatmap, truth] = [at("heatmap"), at("groundtruth")];
    const outputs: Values = { "mean/coords": heatmapSpread(heatmap).mean };
    for (const name of names) {
      const [, loss, version, distance, weight] = /^value\/(STARLoss(_v2)?\.(\w+)\.w([\d.]+))$/.exec(name) ?? [];
      const known = distances[distance ?? ""];
      if (!loss || !known) continue;
      const value = starLoss(heatmap, truth, {
        version: version ? 2 : 1,
        distance: known,
        eigenvalue_weight: Number(weight),
      });
      const [dh, dt] = gradients(value, [heatmap, truth]) as [Value, Value];
      Object.assign(outputs, { [name]: value, [`grad/${loss}`]: dh, [`gradgt/${loss}`]: dt });
    }
    return outputs;
  }, { other })(c, device);

  const heatmap = channelsLast(tensorOf(want, "input/heatmap"));
  const graph = new Graph();
  const { covariance } = heatmapSpread(graph.input("heatmap", heatmap.shape));
  const exe = new Executable(device, { outputs: { covariance, axes: eigen2x2(covariance) } });
  exe.run({ heatmap: heatmap.data });
  const [cov, axes] = [await exe.read("covariance"), await exe.read("axes")];
  exe.destroy();
  const rows = <T extends number[]>(data: Float32Array, width: T["length"]) =>
    Array.from({ length: data.length / width }, (_, r) => [...data.subarray(r * width, (r + 1) * width)] as T);
  type Four = [number, number, number, number];
  const compare = (group: string, name: string, got: number[]) => {
    // Eigenvectors have no number of their own, but that of their values.
    const [tolerance] = [group, "eig"].map((g) => c.json.tolerance?.[g]).filter((t) => typeof t === "number");
    const scale = c.json.group_scale?.[group] ?? 1;
    results.push({
      group,
      error: goldenError(got, tensorOf(want, name).data, scale),
      tolerance: tolerance ?? 0,
      tensor: name,
    });
  };
  compare("cov", "cov/cov", rows<[number, number, number]>(cov, 3).flatMap(([xx, yy, xy]) => [xx, xy, xy, yy]));
  compare("eig", "eig/values", rows<Four>(axes, 4).flatMap(([low, high]) => [low, high]));
  // Columns are eigenvectors, each up to its sign.
  const given = rows<Four>(tensorOf(want, "eigenvectors/V").data, 4);
  compare(
    "eigenvectors",
    "eigenvectors/V",
    rows<Four>(axes, 4).flatMap(([, , cos, sin], k) => {
      const [a, b, d, e] = given[k] ?? [NaN, NaN, NaN, NaN];
      const [low, high] = [Math.sign(-sin * a + cos * d), Math.sign(cos * b + sin * e)];
      return [-sin * low, cos * high, cos * low, sin * high];
    }),
  );
  return results;
};

const indices = z.union([z.int().min(0), z.array(z.int().min(0)).min(1)]);
const metricsConfig = z.strictObject({
  data_definition: z.string(),
  nme_left_index: indices,
  nme_right_index: indices,
});
const metricsResults = z.record(z.string(), z.strictObject({ fr: z.number(), auc: z.number() }));

/** `star-metrics`: NME of each image, FR and AUC at several thresholds, for landmarks of any number. */
export const starMetricsCheck: GoldenCheck = async (c) => {
  const want = await allTensors(c);
  const config = parsePart(c, metricsConfig);
  const truth = tensorOf(want, "input/groundtruth");
  const span = { left: [config.nme_left_index].flat(), right: [config.nme_right_index].flat() };
  const schema = { count: truth.shape[1] ?? 0, normalisers: { interocular: span, interpupil: span } };
  const nme = nmePerImage(tensorOf(want, "input/predictions").data, truth.data, schema);
  const results = compareGroups(c, want, new Map([["nme/per_image", nme.map((v) => v / 100)]]));
  const average = nme.reduce((sum, v) => sum + v / 100, 0) / nme.length;
  results.push({ group: "nme_mean", error: Math.abs(average - c.json["nme_mean"]), tolerance: 1e-6 });
  const thresholds = parsePart(c, metricsResults, "results");
  for (const [key, { fr, auc }] of Object.entries(thresholds)) {
    const threshold = key === "default" ? c.json["default_threshold"] : Number(key);
    const got = failureRate(nme, 100 * threshold);
    results.push({ ...exact(`FR at ${key}`, (got.fr / 100).toFixed(4) === fr.toFixed(4)), tensor: `${got.fr / 100}` });
    results.push({ group: `AUC at ${key}`, error: Math.abs(got.auc - auc), tolerance: 2e-6 });
  }
  return results;
};

/** `star-ema`: moving average of parameters and running statistics while batch norm trains. */
export const starEmaCheck: GoldenCheck = async (c, device) => {
  const want = await allTensors(c);
  const { decay } = parsePart(c, z.strictObject({ batch_size: z.int(), decay: z.number() }));
  const names = [...want.keys()].filter((name) => /^ema\/0\//.test(name)).map((name) => name.slice("ema/0/".length));
  const graph = new Graph();
  const shapeOf = (name: string) => {
    const { shape } = tensorOf(want, `init/${name}`);
    const [O, I] = shape;
    return shape.length === 4 ? [1, 1, I ?? 0, O ?? 0] : shape;
  };
  // A filter of 1 by 1 is [O, I] in the file and [I, O] here.
  const laid = (name: string, data: Float32Array) => {
    const [, , I = 0, O] = shapeOf(name);
    return O === undefined ? data : Float32Array.from(data, (_, k) => data[(k % O) * I + Math.floor(k / O)] ?? NaN);
  };
  const back = (name: string, data: Float32Array) => {
    const [, , I = 0, O] = shapeOf(name);
    return O === undefined ? data : Float32Array.from(data, (_, k) => data[(k % I) * O + Math.floor(k / I)] ?? NaN);
  };
  const live = new Map(names.map((name) => [name, graph.parameter(name, shapeOf(name))]));
  const p = (name: string) => live.get(name) as Value;
  const first = channelsLast(tensorOf(want, "input/x0"));
  const x = graph.input("x", first.shape);
  const { running_mean, running_var } = batchNormTrain(
    conv2d(x, p("0.weight"), { bias: p("0.bias") }),
    p("1.weight"),
    p("1.bias"),
    { mean: p("1.running_mean"), var: p("1.running_var") },
  );
  // With a learning rate of zero, a step of Adam only takes the average.
  const zeros = [...live.values()].map((v) => add(v, mul(v, graph.constant([-1], [1]))));
  const { updates } = adamUpdates(graph, live, zeros, { ema: true });
  const tensors = new Map(
    [...graph.parameters].map(([name, { shape }]) => [name, new Tensor(device, shape)]),
  );
  const tensor = (name: string) => tensors.get(name) as Tensor;
  for (const name of names) {
    const data = laid(name, tensorOf(want, `init/${name}`).data);
    tensor(name).write(data);
    tensor(`ema/${name}`).write(data);
  }
  const forward = new Executable(device, {
    outputs: {},
    updates: [[p("1.running_mean"), running_mean], [p("1.running_var"), running_var]],
  }, tensors);
  const average = new Executable(device, { outputs: {}, updates }, tensors);
  const got = new Map<string, Float32Array>();
  const steps = new Set([...want.keys()].filter((name) => name.startsWith("ema/")).map((name) => name.split("/")[1]));
  for (const step of steps) {
    forward.run({ x: channelsLast(tensorOf(want, `input/x${step}`)).data });
    for (const name of names) {
      const next = want.get(`input/p${step}/${name}`);
      if (next) tensor(name).write(laid(name, next.data));
    }
    average.run({ "adam.hyper": adamHyper(0, { lr: 0, ema_decay: decay }) });
    for (const name of names) got.set(`ema/${step}/${name}`, back(name, await tensor(`ema/${name}`).read()));
  }
  forward.destroy();
  average.destroy();
  tensors.forEach((t) => t.destroy());
  return compareGroups(c, want, got, { other: ["init"] });
};

const networkConfig = starConfig.extend({ add_coord: z.literal(true), use_AAM: z.literal(true) });

/** `star-stacked-hourglass`: evaluation, a training forward with running statistics, losses and gradients. */
export const starNetworkCheck: GoldenCheck = networkCheck(({ c, want, input, scope }) => {
  for (const name of want.keys()) if (STAR_DERIVED.test(name.replace(/^param\//, ""))) want.delete(name);
  const config = parsePart(c, networkConfig);
  const targets = { landmarks: input("landmarks"), pointmaps: input("pointmaps"), edgemaps: input("edgemaps") };
  const at = scope();
  const trained = star(at, input("image"), config, true);
  const all: Values = {};
  for (const [mode, { stacks }] of [["eval", star(at, input("image"), config, false)], ["train", trained]] as const) {
    stacks.forEach(({ landmarks, heatmaps, pointmaps, edgemaps }, s) => {
      all[`${mode}_landmarks/${s}`] = landmarks;
      all[`${mode}_fused_heatmaps/${s}`] = heatmaps;
      all[`${mode}_pointmaps/${s}`] = pointmaps;
      all[`${mode}_edgemaps/${s}`] = edgemaps;
    });
  }
  const squares = trained.stacks.flatMap((stack) =>
    (["landmarks", "pointmaps", "edgemaps"] as const).map((key) => mse(stack[key], targets[key]))
  ).reduce((a, b) => add(a, b));
  all["loss/mse_total"] = squares;
  all["loss/star_total"] = starTrainingLoss(trained, targets);
  all["loss/star_parts"] = concat(
    trained.stacks.flatMap(({ heatmaps, pointmaps, edgemaps }) => [
      starLoss(heatmaps, targets.landmarks),
      awingLoss(pointmaps, targets.pointmaps),
      awingLoss(edgemaps, targets.edgemaps),
    ]),
  );
  // Norms stand for outputs that are not included, and for statistics.
  const norms: Record<string, number> = { ...c.json["l2_norms_of_outputs_not_included"] };
  const statistics = Object.entries<number>(c.json["after_train_step_stats_l2_norms"] ?? {});
  for (const [name, norm] of statistics) norms[`after_train_step_stats/${name}`] = norm;
  const wanted = new Set([...want.keys(), ...Object.keys(norms)]);
  return {
    outputs: Object.fromEntries(Object.entries(all).filter(([name]) => wanted.has(name))),
    updates: trained.updates,
    loss: squares,
    norms,
    async after({ got, parameters }) {
      for (const name of wanted) {
        const of = /^after_train_step_stats\/(.*)$/.exec(name)?.[1];
        const values = of === undefined ? undefined : parameters.get(of);
        if (values) got.set(name, await values.read());
      }
    },
  };
});

const crop = z.strictObject({ scale: z.number(), center_w: z.number(), center_h: z.number() });
const cropConfig = z.strictObject({
  image_size: z.int(),
  target_face_scale: z.number(),
  align_corners: z.literal(true, "STAR makes no crop whose corners are not aligned"),
});

/** `star-crop`: the square of a face, its pixels, and landmarks in it and in the network's coordinates. */
export const starCropCheck: GoldenCheck = async (c) => {
  const want = await allTensors(c);
  const { shape: [height, width], data } = tensorOf(want, "input/image_u8");
  const image = { width: width ?? 0, height: height ?? 0, data: Uint8Array.from(data) };
  const { image_size, target_face_scale } = parsePart(c, cropConfig);
  const got = new Map<string, ArrayLike<number>>();
  const pixels: number[] = [];
  parsePart(c, z.array(crop), "crops").forEach(({ scale, center_w, center_h }, k) => {
    const box = starBox(scale * target_face_scale, [center_w, center_h]);
    const affine = cropTransform(box, image_size);
    got.set(`matrix/${k}`, [...affine, 0, 0, 1]);
    got.set(`points_out/${k}`, transformLandmarks(tensorOf(want, `input/points_${k}`).data, affine));
    const made = cropSquare(image, box, image_size, [0, 0, 0], false);
    const wanted = tensorOf(want, `image_out/${k}`).data;
    made.data.forEach((v, i) => pixels.push(Math.abs(v - (wanted[i] ?? NaN))));
  });
  for (const name of want.keys()) {
    const k = /^norm\/points_(\d+)$/.exec(name)?.[1];
    if (k === undefined) continue;
    // The peer clips to the picture's corners.
    const px = got.get(`points_out/${k}`) ?? [];
    const places = Array.from(px, (px) => Math.max(-1, Math.min(1, toStar(px, image_size))));
    got.set(name, places);
    got.set(`norm/denorm_back_${k}`, places.map((place) => fromStar(place, image_size)));
  }
  return [
    ...compareGroups(c, want, got, { other: ["image_out"] }),
    // OpenCV's fractions have five bits.
    { group: "image_out, largest", error: Math.max(...pixels), tolerance: 3 },
    { group: "image_out, mean", error: pixels.reduce((a, b) => a + b, 0) / pixels.length, tolerance: 0.6 },
  ];
};

const heatmapsConfig = z.strictObject({
  data_definition: z.string(),
  image: z.int(),
  sigma: z.literal(1.5, "STAR trains with 1.5 only"),
  scale: z.literal(0.25, "STAR's maps have a quarter of the picture's side"),
  edge_info: z.array(z.tuple([z.boolean(), z.array(z.int().min(0))])),
});

/** `star-heatmaps`: maps of landmarks and of edges. */
export const starHeatmapsCheck: GoldenCheck = async (c) => {
  const want = await allTensors(c);
  const points = tensorOf(want, "input/points").data;
  const { image: size_px, edge_info } = parsePart(c, heatmapsConfig);
  const { pointmaps, edgemaps } = starMaps(points, size_px, edge_info);
  const side = size_px / 4;
  const first = (data: Float32Array) => channelsFirst(data, [1, side, side, data.length / side ** 2]);
  const point = (p: number) => points.subarray(p * 2, p * 2 + 2);
  const got = new Map<string, ArrayLike<number>>([["output/pointmaps", first(pointmaps)]]);
  for (const [name, { shape: [count] }] of want) {
    if (/^full\/pointmaps_first/.test(name)) {
      const maps = Array.from({ length: count ?? 0 }, (_, p) => {
        const [x = NaN, y = NaN] = point(p);
        return [...pointMap(x, y, size_px)];
      });
      got.set(name, maps.flat());
    }
    const [closed, members] = edge_info[Number(/^curve\/edge(\d+)$/.exec(name)?.[1])] ?? [];
    if (closed !== undefined && members) got.set(name, edgeCurve(members.flatMap((p) => [...point(p)]), closed));
  }
  const edges = tensorOf(want, "edge/edgemaps").data;
  const difference = first(edgemaps).reduce((total, v, k) => total + Math.abs(v - (edges[k] ?? NaN)), 0) / edges.length;
  return [
    ...compareGroups(c, want, got, { other: ["edge"] }),
    { group: "edge, mean", error: difference, tolerance: 0.01 },
  ];
};

/**
 * Golden checks of the landmark side: losses, read-outs, metrics and the moving average of STAR.
 *
 * @module
 */

import { InputError } from "../../formats/input_error.ts";
import { cropSquare, cropTransform } from "../../faces/data/image.ts";
import { transformLandmarks } from "../../faces/landmarks.ts";
import { failureRate, nmePerImage } from "../../faces/metrics.ts";
import { edgeCurve, pointMap, starMaps } from "../../models/detectors/star_targets.ts";
import { createParameters, type ParameterSpec, Scope } from "../../models/io/params.ts";
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
import { mul } from "../../ops/mul.ts";
import { batchNormTrain } from "../../ops/norm.ts";
import { adamHyper, adamUpdates } from "../../ops/optimizer.ts";
import { smoothDistance } from "../../ops/smooth_l1.ts";
import { heatmapSpread, type StarDistance, starLoss } from "../../ops/star_loss.ts";
import { sub } from "../../ops/sub.ts";
import { mean } from "../../ops/sum.ts";
import { sumLast } from "../../ops/sum_last.ts";
import { wingDistance } from "../../ops/wing.ts";
import { Graph, type Value } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { Tensor } from "../../engine/tensor.ts";
import {
  allTensors,
  channelsFirst,
  channelsLast,
  compareGroups,
  exact,
  type GoldenCheck,
  goldenError,
  hostParametersOf,
  inputsOf,
  readOutputs,
} from "./case.ts";

type Values = Record<string, Value>;

/** A check of functions of the case's inputs: builds its outputs, by the case's names, and compares them. */
function functions(build: (inputs: Values, names: readonly string[]) => Values): GoldenCheck {
  return async (c, device) => {
    const want = await allTensors(c);
    const { values, data } = inputsOf(new Graph(), want);
    const outputs = build(values, [...want.keys()]);
    const exe = new Executable(device, { outputs });
    exe.run(data);
    const got = new Map<string, Float32Array>();
    for (const [name, value] of Object.entries(outputs)) {
      const read = await exe.read(name);
      got.set(name, value.shape.length === 4 ? channelsFirst(read, value.shape) : read);
    }
    exe.destroy();
    return compareGroups(c, want, got);
  };
}

/** Value and gradient of losses, under `value/NAME` and `grad/NAME`. */
function lossAndGradient(losses: Values, wrt: Value): Values {
  return Object.fromEntries(
    Object.entries(losses).flatMap(([name, loss]) => [
      [`value/${name}`, loss],
      [`grad/${name}`, gradients(loss, [wrt])[0]!],
    ]),
  );
}

/** `awing-loss`. */
export const awingCheck: GoldenCheck = functions(({ output, target }) =>
  lossAndGradient({
    weighted: awingLoss(output!, target!),
    plain: awingLoss(output!, target!, { weighted: false }),
  }, output!)
);

/** `star-smoothl1-wing`. */
export const smoothL1WingCheck: GoldenCheck = functions(({ output, target }) => {
  const difference = sub(output!, target!);
  const squared = sumLast(mul(difference, difference));
  return lossAndGradient({ smoothl1: mean(smoothDistance(squared, 0.01)), wing: mean(wingDistance(squared)) }, output!);
});

/** `star-decoder`. */
export const starDecoderCheck: GoldenCheck = functions(({ heatmap }) => ({
  "output/coords": heatmapMoments(heatmap!).mean,
}));

/** `star-loss`: values, gradients, and the mean, covariance and eigenvalues on the way. */
export const starLossCheck: GoldenCheck = async (c, device) => {
  const distances: Record<string, StarDistance> = { smoothl1: "smooth_l1", l1: "l1", l2: "l2", wing: "wing" };
  const want = await allTensors(c);
  const results = await functions(({ heatmap, groundtruth }, names) => {
    const outputs: Values = { "mean/coords": heatmapSpread(heatmap!).mean };
    for (const name of names) {
      const [, loss, version, distance, weight] = /^value\/(STARLoss(_v2)?\.(\w+)\.w([\d.]+))$/.exec(name) ?? [];
      if (!loss) continue;
      const value = starLoss(heatmap!, groundtruth!, {
        version: version ? 2 : 1,
        distance: distances[distance!]!,
        eigenvalue_weight: Number(weight),
      });
      const [dh, dt] = gradients(value, [heatmap!, groundtruth!]);
      Object.assign(outputs, { [name]: value, [`grad/${loss}`]: dh, [`gradgt/${loss}`]: dt });
    }
    return outputs;
  })({ ...c, json: { ...c.json, tolerance: { ...c.json.tolerance, cov: "below", eig: "below" } } }, device);

  const heatmap = channelsLast(want.get("input/heatmap")!);
  const graph = new Graph();
  const { covariance } = heatmapSpread(graph.input("heatmap", heatmap.shape));
  const exe = new Executable(device, { outputs: { covariance, axes: eigen2x2(covariance) } });
  exe.run({ heatmap: heatmap.data });
  const [cov, axes] = [await exe.read("covariance"), await exe.read("axes")];
  exe.destroy();
  const rows = (data: Float32Array, width: number) =>
    Array.from({ length: data.length / width }, (_, r) => data.subarray(r * width, (r + 1) * width));
  const compare = (group: string, name: string, got: number[]) =>
    results.push({
      group,
      error: goldenError(got, want.get(name)!.data, c.json.group_scale![group]!),
      tolerance: typeof c.json.tolerance![group] === "number" ? c.json.tolerance![group] as number : 1e-4,
    });
  compare("cov", "cov/cov", rows(cov, 3).flatMap(([xx, yy, xy]) => [xx!, xy!, xy!, yy!]));
  compare("eig", "eig/values", rows(axes, 4).flatMap(([low, high]) => [low!, high!]));
  // Columns are eigenvectors, each up to its sign.
  const given = rows(want.get("eigenvectors/V")!.data, 4);
  compare(
    "eigenvectors",
    "eigenvectors/V",
    rows(axes, 4).flatMap(([, , cos, sin], k) => {
      const [a, b, d, e] = given[k]! as unknown as [number, number, number, number];
      const [low, high] = [Math.sign(-sin! * a + cos! * d), Math.sign(cos! * b + sin! * e)];
      return [-sin! * low, cos! * high, cos! * low, sin! * high];
    }),
  );
  return results;
};

/** `star-metrics`: NME of each image, FR and AUC at several thresholds. */
export const starMetricsCheck: GoldenCheck = async (c) => {
  const want = await allTensors(c);
  const { data, shape: [, count] } = want.get("input/predictions")!;
  const [left, right] = ["left", "right"].map((side): number[] => [c.json["config"][`nme_${side}_index`]].flat());
  const span = { left: left!, right: right! };
  const schema = { count: count!, normalisers: { interocular: span, interpupil: span } };
  const nme = nmePerImage(data, want.get("input/groundtruth")!.data, schema);
  const results = compareGroups(c, want, new Map([["nme/per_image", nme.map((v) => v / 100)]]));
  for (const [key, { fr, auc }] of Object.entries<{ fr: number; auc: number }>(c.json["results"])) {
    const got = failureRate(nme, 100 * (key === "default" ? c.json["default_threshold"] : Number(key)));
    results.push(exact(`FR at ${key}`, (got.fr / 100).toFixed(4) === fr.toFixed(4)));
    results.push({ group: `AUC at ${key}`, error: Math.abs(got.auc - auc), tolerance: 2e-6 });
  }
  return results;
};

/** `star-ema`: moving average of parameters and running statistics while batch norm trains. */
export const starEmaCheck: GoldenCheck = async (c, device) => {
  const want = await allTensors(c);
  const names = [...want.keys()].filter((name) => /^ema\/0\//.test(name)).map((name) => name.slice("ema/0/".length));
  const graph = new Graph();
  const shapeOf = (name: string) => {
    const { shape } = want.get(`init/${name}`)!;
    return shape.length === 4 ? [1, 1, shape[1]!, shape[0]!] : shape;
  };
  // A filter of 1 by 1 is [O, I] in the file and [I, O] here.
  const laid = (name: string, data: Float32Array) => {
    const [, , I, O] = shapeOf(name) as [number, number, number?, number?];
    return O === undefined ? data : Float32Array.from(data, (_, k) => data[(k % O) * I! + Math.floor(k / O)]!);
  };
  const back = (name: string, data: Float32Array) => {
    const [, , I, O] = shapeOf(name) as [number, number, number?, number?];
    return O === undefined ? data : Float32Array.from(data, (_, k) => data[(k % I!) * O + Math.floor(k / I!)]!);
  };
  const live = new Map(names.map((name) => [name, graph.parameter(name, shapeOf(name))]));
  const p = (name: string) => live.get(name)!;
  const first = channelsLast(want.get("input/x0")!);
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
  for (const name of names) {
    const data = laid(name, want.get(`init/${name}`)!.data);
    tensors.get(name)!.write(data);
    tensors.get(`ema/${name}`)!.write(data);
  }
  const forward = new Executable(device, {
    outputs: {},
    updates: [[p("1.running_mean"), running_mean], [p("1.running_var"), running_var]],
  }, tensors);
  const average = new Executable(device, { outputs: {}, updates }, tensors);
  const got = new Map<string, Float32Array>();
  const steps = new Set([...want.keys()].filter((name) => name.startsWith("ema/")).map((name) => name.split("/")[1]!));
  for (const step of steps) {
    forward.run({ x: channelsLast(want.get(`input/x${step}`)!).data });
    for (const name of names) {
      const next = want.get(`input/p${step}/${name}`);
      if (next) tensors.get(name)!.write(laid(name, next.data));
    }
    average.run({ "adam.hyper": adamHyper(0, { lr: 0, ema_decay: c.json["config"].decay }) });
    for (const name of names) got.set(`ema/${step}/${name}`, back(name, await tensors.get(`ema/${name}`)!.read()));
  }
  forward.destroy();
  average.destroy();
  tensors.forEach((t) => t.destroy());
  return compareGroups(c, want, got);
};

/** `star-stacked-hourglass`: evaluation, a training forward with running statistics, losses and gradients. */
export const starNetworkCheck: GoldenCheck = async (c, device) => {
  const want = await allTensors(c);
  for (const name of want.keys()) if (STAR_DERIVED.test(name.replace(/^param\//, ""))) want.delete(name);
  const { add_coord, use_AAM, ...options } = c.json["config"];
  if (!add_coord || !use_AAM) throw new InputError("Cannot check a STAR network without coordinates or attention maps");
  const config = starConfig.parse(options);
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const { values, data } = inputsOf(graph, want);
  const targets = { landmarks: values["landmarks"]!, pointmaps: values["pointmaps"]!, edgemaps: values["edgemaps"]! };
  const scope = new Scope(graph, specs);
  const trained = star(scope, values["image"]!, config, true);
  const outputs: Values = {};
  for (
    const [mode, { stacks }] of [["eval", star(scope, values["image"]!, config, false)], ["train", trained]] as const
  ) {
    stacks.forEach(({ landmarks, heatmaps, edgemaps }, s) => {
      outputs[`${mode}_landmarks/${s}`] = landmarks;
      outputs[`${mode}_fused_heatmaps/${s}`] = heatmaps;
      outputs[`${mode}_edgemaps/${s}`] = edgemaps;
    });
  }
  const names = [...want.keys()].filter((name) => /^grad(in)?\//.test(name));
  const square = (a: Value, b: Value) => mean(mul(sub(a, b), sub(a, b)));
  const mse = trained.stacks.flatMap((stack) =>
    (["landmarks", "pointmaps", "edgemaps"] as const).map((key) => square(stack[key], targets[key]))
  ).reduce((a, b) => add(a, b));
  const wrt = names.map((name) => {
    const of = name.slice(name.indexOf("/") + 1);
    return name.startsWith("gradin/") ? values[of]! : graph.parameters.get(of)!;
  });
  gradients(mse, wrt).forEach((dx, k) => outputs[names[k]!] = dx);
  outputs["loss/mse_total"] = mse;
  outputs["loss/star_total"] = starTrainingLoss(trained, targets);
  outputs["loss/star_parts"] = concat(
    trained.stacks.flatMap(({ heatmaps, pointmaps, edgemaps }) => [
      starLoss(heatmaps, targets.landmarks),
      awingLoss(pointmaps, targets.pointmaps),
      awingLoss(edgemaps, targets.edgemaps),
    ]),
  );

  const parameters = createParameters(device, specs, await hostParametersOf(specs, want));
  const kept = Object.fromEntries(Object.entries(outputs).filter(([name]) => want.has(name)));
  const exe = new Executable(device, { outputs: kept, updates: trained.updates }, parameters);
  exe.run(data);
  const got = await readOutputs(
    exe,
    kept,
    (name) => name.startsWith("grad/") ? specs.get(name.slice("grad/".length)) : undefined,
  );
  for (const name of want.keys()) {
    const [group, of] = [name.slice(0, name.indexOf("/")), name.slice(name.indexOf("/") + 1)];
    if (group === "after_train_step_stats") got.set(name, await parameters.get(of)!.read());
  }
  exe.destroy();
  for (const tensor of parameters.values()) tensor.destroy();
  return compareGroups(c, want, got);
};

/** `star-crop`: the square of a face, its pixels, and landmarks in it and in the network's coordinates. */
export const starCropCheck: GoldenCheck = async (c) => {
  const want = await allTensors(c);
  const { shape: [height, width], data } = want.get("input/image_u8")!;
  const image = { width: width!, height: height!, data: Uint8Array.from(data) };
  const { image_size, target_face_scale, align_corners } = c.json["config"];
  if (!align_corners) {
    throw new InputError("Cannot check a crop whose corners are not aligned, which STAR does not make");
  }
  const got = new Map<string, ArrayLike<number>>();
  const pixels: number[] = [];
  const crops = c.json["crops"] as { scale: number; center_w: number; center_h: number }[];
  crops.forEach(({ scale, center_w, center_h }, k) => {
    const box = starBox(scale * target_face_scale, [center_w, center_h]);
    const affine = cropTransform(box, image_size);
    got.set(`matrix/${k}`, [...affine, 0, 0, 1]);
    got.set(`points_out/${k}`, transformLandmarks(want.get(`input/points_${k}`)!.data, affine));
    const crop = cropSquare(image, box, image_size, [0, 0, 0], false);
    crop.data.forEach((v, i) => pixels.push(Math.abs(v - want.get(`image_out/${k}`)!.data[i]!)));
  });
  for (const name of want.keys()) {
    const k = /^norm\/points_(\d+)$/.exec(name)?.[1];
    if (k === undefined) continue;
    // The peer clips to the picture's corners.
    const places = Array.from(got.get(`points_out/${k}`)!, (px) => Math.max(-1, Math.min(1, toStar(px, image_size))));
    got.set(name, places);
    got.set(`norm/denorm_back_${k}`, places.map((place) => fromStar(place, image_size)));
  }
  return [
    ...compareGroups(c, want, got),
    // OpenCV's fractions have five bits.
    { group: "image_out, largest", error: Math.max(...pixels), tolerance: 3 },
    { group: "image_out, mean", error: pixels.reduce((a, b) => a + b, 0) / pixels.length, tolerance: 0.6 },
  ];
};

/** `star-heatmaps`: maps of landmarks and of edges. */
export const starHeatmapsCheck: GoldenCheck = async (c) => {
  const want = await allTensors(c);
  const points = want.get("input/points")!.data;
  const { image: size_px, edge_info, sigma, scale: share } = c.json["config"];
  if (sigma !== 1.5 || share !== 0.25) throw new InputError("Cannot check maps of other than STAR's sigma and scale");
  const { pointmaps, edgemaps } = starMaps(points, size_px, edge_info);
  const side = size_px / 4;
  const first = (data: Float32Array) => channelsFirst(data, [1, side, side, data.length / side ** 2]);
  const got = new Map<string, ArrayLike<number>>([["output/pointmaps", first(pointmaps)]]);
  for (const [name, { shape: [count] }] of want) {
    if (/^full\/pointmaps_first/.test(name)) {
      got.set(
        name,
        Array.from({ length: count! }, (_, p) => [...pointMap(points[p * 2]!, points[p * 2 + 1]!, size_px)]).flat(),
      );
    }
    const edge = /^curve\/edge(\d+)$/.exec(name)?.[1];
    if (edge === undefined) continue;
    const [closed, members] = edge_info[Number(edge)] as [boolean, number[]];
    got.set(name, edgeCurve(members.flatMap((p) => [...points.subarray(p * 2, p * 2 + 2)]), closed));
  }
  const edges = want.get("edge/edgemaps")!.data;
  const difference = first(edgemaps).reduce((total, v, k) => total + Math.abs(v - edges[k]!), 0) / edges.length;
  return [...compareGroups(c, want, got), { group: "edge, mean", error: difference, tolerance: 0.01 }];
};

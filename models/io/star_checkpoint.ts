/**
 * A detector of ours as a checkpoint of the original STAR code.
 *
 *     DIR/model/train.pkl: { net, net_ema, epoch }
 *
 * `train.pkl` in `model` is what its tester opens; `net` and `net_ema` are the same weights. The optimiser's state is
 * left out, and its trainer then starts with a fresh one.
 *
 * Source: ZhenglinZhou/STAR at 9b12574, lib/utility.py, tester.py, trainer.py, lib/backbone/stackedHGNetV1.py.
 *
 * @module
 */

import { InputError } from "../../formats/input_error.ts";
import { type TorchTensor, type TorchValue, writeTorchArchive } from "../../formats/torch_writer.ts";
import { detectorSpecs } from "../detectors/detector.ts";
import { type DetectorConfig, isStar, starNetwork } from "../detectors/registry.ts";
import { fileName, fileShape, type HostTensors, toFileLayout } from "./params.ts";

/**
 * The state of the original's network: our parameters in PyTorch's layout, and what follows from them there, see
 * `STAR_DERIVED`: counters, and the matrix from edges to points.
 *
 * @param tensors In the layout of the graph.
 * @throws {InputError} If the detector is no STAR network.
 */
export function starState(config: DetectorConfig, tensors: HostTensors): Map<string, TorchTensor> {
  if (!isStar(config)) {
    throw new InputError(`Cannot export a compact hourglass as star: its network is another`, {
      hint: `train with "star", or export as onnx`,
    });
  }
  const state = new Map<string, TorchTensor>();
  for (const spec of detectorSpecs(config).values()) {
    const name = fileName(spec.name);
    state.set(name, { shape: fileShape(spec), data: toFileLayout(spec, tensors.get(spec.name)!.data) });
    if (!name.endsWith(".running_var")) continue;
    state.set(name.replace(/running_var$/, "num_batches_tracked"), { shape: [], data: new BigInt64Array(1) });
  }
  const { edge_info, classes_num: [, E, points] } = starNetwork(config);
  const weight = new Float32Array(points * E), bias = new Float32Array(points).fill(1);
  edge_info.forEach(([, members], e) =>
    members.forEach((p) => {
      weight[p * E + e] = 1;
      bias[p] = 0;
    })
  );
  state.set("e2h_transform.weight", { shape: [points, E, 1, 1], data: weight });
  state.set("e2h_transform.bias", { shape: [points], data: bias });
  return state;
}

/**
 * Writes the folder.
 *
 * @param dir Where `model/train.pkl` goes; it is made if it is not there.
 * @returns The path of the checkpoint.
 * @throws {InputError} As {@linkcode starState}.
 */
export async function saveStarCheckpoint(dir: string, config: DetectorConfig, tensors: HostTensors): Promise<string> {
  const net = starState(config, tensors);
  await Deno.mkdir(`${dir}/model`, { recursive: true });
  const path = `${dir}/model/train.pkl`;
  await writeTorchArchive(path, new Map<string, TorchValue>([["net", net], ["net_ema", net], ["epoch", 0]]));
  return path;
}

/**
 * A detector of ours as a checkpoint of the original STAR code.
 *
 *     DIR/model/train.pkl: { net, net_ema, epoch, size_px }
 *
 * `train.pkl` in `model` is what its tester opens; `net` and `net_ema` are the same weights. The optimizer's state is
 * left out, and its trainer then starts with a fresh one. The original does not read `size_px`, the side of the images,
 * which no weight shows and which a conversion needs.
 *
 * Source: ZhenglinZhou/STAR at 9b12574, lib/utility.py, tester.py, trainer.py, lib/backbone/stackedHGNetV1.py.
 *
 * @module
 */

import { makeFolder, writeFolderAtomic } from "../../formats/files.ts";
import { type TorchTensor, type TorchValue, writeTorchArchive } from "../../formats/torch_writer.ts";
import type { StarConfig } from "../detectors/star.ts";
import type { HostTensors, Specs } from "./params.ts";
import { fileName, fileShape, toFileLayout } from "./parameter_files.ts";

/**
 * The state of the original's network: our parameters in PyTorch's layout, and what follows from them there, see
 * `STAR_DERIVED`: counters, and the matrix from edges to points.
 *
 * @param network The original's constructor arguments.
 * @param specs Parameters of the network.
 * @param tensors Their values, in the layout of the graph.
 * @throws {TypeError} If one of them is missing.
 */
export function starState(network: StarConfig, specs: Specs, tensors: HostTensors): Map<string, TorchTensor> {
  const state = new Map<string, TorchTensor>();
  for (const spec of specs.values()) {
    const name = fileName(spec.name);
    const tensor = tensors.get(spec.name);
    if (!tensor) throw new TypeError(`Cannot write a checkpoint: "${spec.name}" is missing`);
    state.set(name, { shape: fileShape(spec), data: toFileLayout(spec, tensor.data) });
    if (!name.endsWith(".running_var")) continue;
    state.set(name.replace(/running_var$/, "num_batches_tracked"), { shape: [], data: new BigInt64Array(1) });
  }
  const { edge_info, classes_num: [, E, points] } = network;
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
 * @param dir Where `model/train.pkl` goes; it is missing or empty.
 * @param network As for {@linkcode starState}.
 * @returns The path of the checkpoint.
 */
export async function saveStarCheckpoint(
  dir: string,
  network: StarConfig,
  specs: Specs,
  tensors: HostTensors,
): Promise<string> {
  const net = starState(network, specs, tensors);
  const size: TorchTensor = { shape: [], data: BigInt64Array.of(BigInt(network.width)) };
  const root: [string, TorchValue][] = [["net", net], ["net_ema", net], ["epoch", 0], ["size_px", size]];
  await writeFolderAtomic(dir, async (unfinished) => {
    await makeFolder(`${unfinished}/model`);
    await writeTorchArchive(`${unfinished}/model/train.pkl`, new Map(root));
  });
  return `${dir}/model/train.pkl`;
}

/**
 * Golden checks of autoencoders.
 *
 * @module
 */

import { gradients } from "../../ops/autodiff.ts";
import { exp } from "../../ops/exp.ts";
import { mul } from "../../ops/mul.ts";
import { affine } from "../../ops/affine.ts";
import { sub } from "../../ops/sub.ts";
import { mean } from "../../ops/sum.ts";
import {
  autoencoderFormat,
  codebookLoss,
  decodeLatent,
  divergence,
  encodeImage,
  encodeLatent,
  quantise,
  sampleLatent,
} from "../../models/diffusion/autoencoder.ts";
import { readConfig } from "../../models/io/config.ts";
import { createParameters, type ParameterSpec, Scope } from "../../models/io/params.ts";
import { Graph, type Value } from "../../engine/graph.ts";
import { Executable } from "../../engine/executable.ts";
import { allTensors, compareGroups, type GoldenCheck, hostParametersOf, inputsOf, readOutputs } from "./case.ts";

/** A KL autoencoder: posterior, samples, reconstruction, loss and gradients of the decoder. */
export const autoencoderCheck: GoldenCheck = async (c, device) => {
  const want = await allTensors(c);
  const specs = new Map<string, ParameterSpec>();
  const graph = new Graph();
  const { values, data } = inputsOf(graph, want);
  const { image, z, noise, target } = values as Record<string, Value>;
  const config = readConfig(autoencoderFormat, c.json.config, c.name);
  const scope = new Scope(graph, specs);

  const posterior = encodeImage(scope, config, image!);
  const decoded = decodeLatent(scope, config, z!);
  const d = sub(decoded, target!);
  const loss = mean(mul(d, d));
  const outputs: Record<string, Value> = {
    "output/mean": posterior.mean,
    "output/mode": posterior.mean,
    "output/logvar": posterior.logvar,
    "posterior/std": exp(affine(posterior.logvar, 0.5)),
    "posterior/kl": divergence(posterior),
    "posterior/sample_from_noise": sampleLatent(posterior, noise!),
    "output/decoded": decoded,
    "output/reconstruction": decodeLatent(scope, config, posterior.mean),
    "loss/decode_mse": loss,
  };
  const names = [...want.keys()].filter((name) => name.startsWith("grad/"));
  const wrt = names.map((name) => graph.parameters.get(name.slice(5))!);
  const [dz, ...grads] = gradients(loss, [z!, ...wrt]);
  outputs["gradin/z"] = dz!;
  grads.forEach((dx, k) => outputs[names[k]!] = dx);

  const parameters = createParameters(device, specs, await hostParametersOf(specs, want));
  const exe = new Executable(device, { outputs }, parameters);
  exe.run(data);
  const got = await readOutputs(
    exe,
    outputs,
    (name) => name.startsWith("grad/") ? specs.get(name.slice(5)) : undefined,
  );
  exe.destroy();
  for (const tensor of parameters.values()) tensor.destroy();
  return compareGroups(c, want, got);
};

/** An autoencoder with a codebook: latents, codes, loss and reconstruction. */
export const vqCheck: GoldenCheck = async (c, device) => {
  const want = await allTensors(c);
  const specs = new Map<string, ParameterSpec>();
  const graph = new Graph();
  const { values, data } = inputsOf(graph, want);
  const config = readConfig(autoencoderFormat, { _class_name: "VQModel", ...c.json.config }, c.name);
  const scope = new Scope(graph, specs);
  const latent = encodeLatent(scope, config, values["image"]!);
  const { code, ids } = quantise(scope, config, latent);
  const outputs: Record<string, Value> = {
    "output/latents": latent,
    "output/quantized": code,
    "output/decoded": decodeLatent(scope, config, latent),
    "output/decoded_not_quantized": decodeLatent(scope, config, latent, { quantised: true }),
    "loss/vq": codebookLoss(latent, code),
    "index/codes": ids,
  };
  const parameters = createParameters(device, specs, await hostParametersOf(specs, want));
  const exe = new Executable(device, { outputs }, parameters);
  exe.run(data);
  const got = await readOutputs(exe, outputs);
  exe.destroy();
  for (const tensor of parameters.values()) tensor.destroy();
  return compareGroups(c, want, got);
};

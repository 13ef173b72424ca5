import assert from "node:assert/strict";
import { autoencoderFormat, decodeLatent, encodeImage } from "../../models/autoencoder.ts";
import { countParameters, type ParameterSpec, Scope } from "../../models/params.ts";
import { Graph } from "../../runtime/graph.ts";

const config = autoencoderFormat.schema.parse({
  block_out_channels: [128, 256, 512, 512],
  down_block_types: Array(4).fill("DownEncoderBlock2D"),
  up_block_types: Array(4).fill("UpDecoderBlock2D"),
  layers_per_block: 2,
});

Deno.test("the autoencoder has the parameters and shapes of Stable Diffusion v1's", () => {
  const graph = new Graph();
  const specs = new Map<string, ParameterSpec>();
  const scope = new Scope(graph, specs, "vae/");
  const { mean, logvar } = encodeImage(scope, config, graph.input("image", [2, 64, 48, 3]));
  assert.deepEqual([mean.shape, logvar.shape], [[2, 8, 6, 4], [2, 8, 6, 4]]);
  assert.deepEqual(decodeLatent(scope, config, mean).shape, [2, 64, 48, 3]);
  assert.equal(countParameters(specs), 83_653_863);
});

Deno.test("encodeImage() says which shape does not fit", () => {
  const graph = new Graph();
  assert.throws(() => encodeImage(new Scope(graph, new Map()), config, graph.input("image", [1, 60, 64, 3])), {
    name: "TypeError",
    message: "Cannot encode an image of shape [1, 60, 64, 3]: [N, H, W, 3] with H and W multiples of 8 is expected",
  });
});

/**
 * CLIP's text encoder: token ids to the tokens that a UNet attends to. A small one of our own has the same form.
 *
 *     ids [N, T] ─ token_embedding + position_embedding ─ [N, T, D]
 *        │ layers: x + attention(layer_norm1(x)), then x + fc2(act(fc1(layer_norm2(x))))
 *     [N, T, D] ─ final_layer_norm ─ context [N, T, D]
 *
 * Easy to get wrong:
 * - the mask is causal, and padding is not masked;
 * - the context is the output of final_layer_norm;
 * - CLIP's activation is `x sigmoid(1.702 x)`, not the exact GELU.
 *
 * Source: Radford et al. 2021, arXiv 2103.00020; transformers 4.32, CLIPTextModel.
 *
 * @module
 */

import { z } from "zod";
import { InputError } from "../../formats/input_error.ts";
import { add } from "../../ops/add.ts";
import { attention } from "../../ops/attention.ts";
import { embedding } from "../../ops/embedding.ts";
import { gelu } from "../../ops/gelu.ts";
import { quickGelu } from "../../ops/quick_gelu.ts";
import { extent, showShape, type Value } from "../../engine/graph.ts";
import type { ConfigFormat } from "../io/config.ts";
import { normaliseTokens, project } from "./layers.ts";
import type { Scope } from "../io/params.ts";

const size = z.int().min(1);

const textSchema = z.object({
  vocab_size: size.default(49408),
  hidden_size: size.default(512),
  intermediate_size: size.default(2048),
  num_hidden_layers: size.default(12),
  num_attention_heads: size.default(8),
  max_position_embeddings: size.default(77),
  hidden_act: z.enum(["quick_gelu", "gelu"]).default("quick_gelu"),
  layer_norm_eps: z.number().positive().default(1e-5),
});

/** Configuration of a CLIP text encoder; transformers' names and defaults. */
export type TextEncoderConfig = z.output<typeof textSchema>;

/** `config.json` of a CLIP text encoder. */
export const textEncoderFormat: ConfigFormat<TextEncoderConfig> = {
  name: "clip_text_model",
  schema: textSchema as z.ZodType<TextEncoderConfig>,
  fixed: { architectures: ["CLIPTextModel"] },
  // None of these changes what the network computes.
  ignored:
    /^(attention_dropout|dropout|initializer_|.*_token_id|projection_dim|(torch_)?dtype|transformers_version|model_type)/,
};

/** Outputs of a text encoder. */
export interface TextEncoded {
  /** Context for a UNet, `[N, T, hidden_size]`. */
  readonly context: Value;
  /** The embedding and the output of every layer, before the last normalisation. */
  readonly hidden: readonly Value[];
}

/**
 * The places of tokens: 0, 1, ... as `[1, T]`.
 *
 * @throws {InputError} If there are more tokens than positions.
 */
export function countTokens(ids: Value, positions: number): Value {
  const T = extent(ids, 1);
  if (T > positions) {
    throw new InputError(
      `Cannot encode tokens of shape ${showShape(ids.shape)}: the text encoder has ${positions} positions`,
    );
  }
  return ids.graph.constant(Array.from({ length: T }, (_, k) => k), [1, T]);
}

/** Attention of tokens, `[N, T, D]`, among themselves, `width` wide inside; `bias` is for q, k and v. */
export function selfAttention(
  scope: Scope,
  x: Value,
  { heads, width, bias, causal = false }: { heads: number; width: number; bias: boolean; causal?: boolean },
): Value {
  const projected = (name: string) => project(scope, name, x, width, { bias });
  const [q, k, v] = [projected("q_proj"), projected("k_proj"), projected("v_proj")];
  return project(scope, "out_proj", attention(q, k, v, { heads, causal }), extent(x, 2));
}

/**
 * Encodes token ids.
 *
 * @param scope Where the parameters are named: `new Scope(graph, specs, "text_encoder/")`.
 * @param config Transformers' configuration.
 * @param ids `[N, T]`, T at most `max_position_embeddings`.
 * @throws {InputError} If there are more tokens than positions.
 */
export function encodeText(scope: Scope, config: TextEncoderConfig, ids: Value): TextEncoded {
  const { hidden_size: D, max_position_embeddings, num_attention_heads: heads } = config;
  const model = scope.at("text_model");
  const at = model.at("embeddings");
  const tokens = at.embedding("token_embedding", config.vocab_size, D, 0.02);
  const positions = at.embedding("position_embedding", max_position_embeddings, D, 0.02);
  let h = add(embedding(tokens, ids), embedding(positions, countTokens(ids, max_position_embeddings)));
  const hidden = [h];
  for (let k = 0; k < config.num_hidden_layers; k++) {
    const layer = model.at(`encoder.layers.${k}`);
    const normed = normaliseTokens(layer, "layer_norm1", h, config.layer_norm_eps);
    h = add(h, selfAttention(layer.at("self_attn"), normed, { heads, width: D, bias: true, causal: true }));
    const wide = project(
      layer,
      "mlp.fc1",
      normaliseTokens(layer, "layer_norm2", h, config.layer_norm_eps),
      config.intermediate_size,
    );
    h = add(h, project(layer, "mlp.fc2", config.hidden_act === "gelu" ? gelu(wide) : quickGelu(wide), D));
    hidden.push(h);
  }
  return { context: normaliseTokens(model, "final_layer_norm", h, config.layer_norm_eps), hidden };
}

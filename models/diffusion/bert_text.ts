/**
 * The text encoder of the text-to-image LDM: a BERT-like transformer trained together with its UNet.
 *
 *     ids [N, T] ─ embed_tokens + embed_positions ─ [N, T, D]
 *        │ layers: x + attention(self_attn_layer_norm(x)), then x + fc2(gelu(fc1(final_layer_norm(x))))
 *     [N, T, D] ─ layer_norm ─ context [N, T, D]
 *
 * Easy to get wrong:
 * - there is no mask at all: padding is attended to;
 * - the width inside attention is heads times head_dim, 512 in the published model, whatever D is;
 * - `to_logits` is in every checkpoint and has no use here.
 *
 * Source: Rombach et al. 2021, arXiv 2112.10752; diffusers v0.20.2, LDMBertModel.
 *
 * @module
 */

import { z } from "zod";
import { add } from "../../ops/add.ts";
import { embedding } from "../../ops/embedding.ts";
import { gelu } from "../../ops/gelu.ts";
import type { Value } from "../../engine/graph.ts";
import type { ConfigFormat } from "../io/config.ts";
import { normaliseTokens, project } from "./layers.ts";
import type { Scope } from "../io/params.ts";
import { countTokens, selfAttention } from "./clip_text.ts";

const size = z.int().min(1);

const bertSchema = z.object({
  vocab_size: size.default(30522),
  max_position_embeddings: size.default(77),
  encoder_layers: size.default(32),
  encoder_ffn_dim: size.default(5120),
  encoder_attention_heads: size.default(8),
  head_dim: size.default(64),
  d_model: size.default(1280),
});

/** Configuration of LDM's text encoder; diffusers' names and defaults. */
export type BertConfig = z.output<typeof bertSchema>;

/** `config.json` of LDM's text encoder. */
export const bertFormat: ConfigFormat<BertConfig> = {
  name: "ldmbert",
  schema: bertSchema as z.ZodType<BertConfig>,
  fixed: { activation_function: "gelu", architectures: ["LDMBertModel"] },
  // None of these changes what the network computes.
  ignored:
    /dropout|layerdrop|^(init_std|pad_token_id|num_hidden_layers|use_cache|.*classif.*|torch_dtype|transformers_version|model_type)$/,
};

/** Names that files of text encoders, LDM's and CLIP's, have and no network here has a use for. */
export const BERT_UNUSED = /(^|\.)to_logits\.|position_ids$/;

/**
 * Encodes token ids to the context of a UNet.
 *
 * @param scope Where the parameters are named: `new Scope(graph, specs, "text_encoder/")`.
 * @param config Diffusers' configuration.
 * @param ids `[N, T]`, T at most `max_position_embeddings`.
 * @returns `[N, T, d_model]`.
 * @throws {TypeError} If there are more tokens than positions.
 */
export function encodeBert(scope: Scope, config: BertConfig, ids: Value): Value {
  const { d_model: D, encoder_attention_heads: heads, max_position_embeddings: positions } = config;
  const model = scope.at("model");
  const tokens = model.embedding("embed_tokens", config.vocab_size, D, 0.02);
  const places = model.embedding("embed_positions", positions, D, 0.02);
  let h = add(embedding(tokens, ids), embedding(places, countTokens(ids, positions)));
  for (let k = 0; k < config.encoder_layers; k++) {
    const layer = model.at(`layers.${k}`);
    const normed = normaliseTokens(layer, "self_attn_layer_norm", h);
    h = add(h, selfAttention(layer.at("self_attn"), normed, { heads, width: heads * config.head_dim, bias: false }));
    const wide = project(layer, "fc1", normaliseTokens(layer, "final_layer_norm", h), config.encoder_ffn_dim);
    h = add(h, project(layer, "fc2", gelu(wide), D));
  }
  return normaliseTokens(model, "layer_norm", h);
}

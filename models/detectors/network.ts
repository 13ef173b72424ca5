/**
 * The contract of a detector's network: everything that training, detection, export and conversion need.
 *
 * @module
 */

import type { z } from "zod";
import type { LandmarkSchema, SchemaName } from "../../faces/schema.ts";
import { SCHEMAS } from "../../faces/schema.ts";
import type { Shape, Value } from "../../engine/graph.ts";
import type { ConfigFormat } from "../io/config.ts";
import type { OriginalNetwork } from "../io/named_shapes.ts";
import type { HostTensors, Scope, Specs } from "../io/params.ts";

/** Configuration that every detector's network has. */
export interface DetectorBase {
  /** Row of `DETECTORS`, and the `model_type` of its `config.json`. */
  readonly model_type: string;
  /** Side of the images that the network takes, pixels. */
  readonly size_px: number;
  /** Schema of the landmarks. */
  readonly schema: SchemaName;
}

/** Schema of the landmarks that a network finds. */
export function schemaOf({ schema }: Pick<DetectorBase, "schema">): LandmarkSchema {
  return SCHEMAS[schema];
}

/** Results of a network. */
export interface Found {
  /** Pixels of the images, `[N, P, 2]`. */
  readonly landmarks: Value;
  /** Covariance of the heatmaps, xx, yy and xy in squared pixels of the images: `[N, P, 3]`. */
  readonly covariance: Value;
  /** Pooled features of the last layer, not below 0, `[N, D]`: they distinguish faces from other things; not every network has them. */
  readonly features?: Value;
}

/** Results of a network in training. */
export interface Trained {
  /** Pixels of the images, `[N, P, 2]`. */
  readonly landmarks: Value;
  /** Scalar to minimise. */
  readonly loss: Value;
  /** Running statistics and their new values. */
  readonly updates: readonly (readonly [Value, Value])[];
}

/** A format that a network can be exported in, other than ONNX. */
export interface DetectorExport<C> {
  /** Description of the format, in a few words. */
  readonly doc: string;
  /**
   * Writes a detector.
   *
   * @param path File or folder to write.
   * @returns Facts to print.
   */
  save(path: string, config: C, specs: Specs, tensors: HostTensors): Promise<Readonly<Record<string, unknown>>>;
}

/** A kind of network: one file and one row of `DETECTORS`. */
export interface DetectorNetwork<C extends DetectorBase> {
  /** Name for messages, such as `compact hourglass`. */
  readonly title: string;
  /** `config.json`. */
  readonly format: ConfigFormat<C>;
  /** Option of `detector/train` that asks for it. */
  readonly option: {
    readonly name: string;
    readonly schema: z.ZodType;
    /** Configuration of a training from scratch, or the problem with the value; undefined gives the defaults. */
    config(value: unknown, schema: SchemaName): z.ZodSafeParseResult<C>;
  };
  /** Names of the parameters that no gradient moves, such as running statistics. */
  readonly statistics?: RegExp;
  /** Reader of the original's checkpoints. */
  readonly original?: OriginalNetwork<C>;
  /** Formats to export it in, by name. */
  readonly exports: Readonly<Record<string, DetectorExport<C>>>;
  /** Its size in a few words. */
  describe(config: C): string;
  /** Builds it; images are RGB from -1 to 1, `[N, size_px, size_px, 3]`. */
  build(scope: Scope, images: Value, config: C): Found;
  /**
   * Feature maps from the first layers to the last, `[N, h, w, C]` each; images as in {@linkcode DetectorNetwork.build}.
   */
  features(scope: Scope, images: Value, config: C): readonly Value[];
  /**
   * Builds it for training.
   *
   * @param input One of the {@linkcode targets}, of a shape.
   */
  train(scope: Scope, images: Value, config: C, input: (name: string, shape: Shape) => Value): Trained;
  /**
   * Inputs of training other than the images.
   *
   * @param landmarks True ones, `[N, P, 2]`, pixels of the images.
   */
  targets(config: C, landmarks: Float32Array): Record<string, Float32Array>;
}

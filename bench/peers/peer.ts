/**
 * The contract of another engine that is timed with this one.
 *
 * @module
 */

import type { HostTensors } from "../../models/io/params.ts";
import type { Fetches } from "../../engine/plan/records.ts";
import type { TensorData } from "../../formats/safetensors.ts";

/** A case that others can do too. */
export interface Task {
  /** Name of the case: what is done, a colon, how large. */
  readonly name: string;
  /** Heads of attention. */
  readonly heads: number;
  /** Inputs by name, in the layout of the engine: `[N, H, W, C]`, `[KH, KW, I, O]`, `[N, L, H * D]`. */
  readonly inputs: Readonly<Record<string, TensorData>>;
  /** The computation, for engines that read a file. */
  readonly fetches: Fetches;
  /** Values of the fetches' parameters. */
  readonly weights: HostTensors;
}

/** A task made ready in another engine. */
export interface Ready {
  /** Does the task, or queues it. */
  run(): void | Promise<void>;
  /** Resolves when all that is queued is done. */
  wait(): Promise<unknown>;
  /** Results of the latest run by the names of the fetches' outputs, in the layout of the engine; may leave some out. */
  read(): Promise<Record<string, Float32Array>>;
  /** Frees what it can. */
  destroy(): void;
}

/** Another engine, ready to work. */
export interface OpenPeer {
  /** Description of the adapter that it uses; null where it uses none. */
  readonly adapter: string | null;
  /**
   * Makes a task ready.
   *
   * @throws {CannotDo} If it has no way to do it.
   */
  prepare(task: Task): Promise<Ready> | Ready;
}

/** Another engine. */
export interface Peer {
  readonly name: string;
  /** Its packages: `npm:name@version`. */
  readonly packages: readonly string[];
  /** Imports the packages and starts the engine. */
  open(): Promise<OpenPeer>;
}

/** Raised for a task that a peer has no way to do; the message says why. */
export class CannotDo extends Error {
  override name = "CannotDo";
}

/**
 * Imports a package.
 *
 * Its name is data here, so that nothing but a run with peers downloads, checks or locks it.
 */
export function load<T>(specifier: string): Promise<T> {
  return import(specifier);
}

/**
 * An input of a task.
 *
 * @throws {CannotDo} If the task has no input of that name.
 */
export function inputOf({ name: task, inputs }: Task, name: string): TensorData {
  const input = inputs[name];
  if (!input) throw new CannotDo(`${task} has no input "${name}"`);
  return input;
}

/** Kind of a task: `conv2d.forward` of `conv2d.forward:n4-32x32-64-64`. */
export function kindOf({ name }: Task): string {
  return name.slice(0, name.indexOf(":"));
}

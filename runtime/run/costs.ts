/**
 * What stages take from each other, and what a run of one takes.
 *
 * @module
 */
import { InputError } from "../../formats/input_error.ts";
import type { PipelineStage } from "../pipeline/file.ts";
import { MemoryError } from "../../engine/plan/plan.ts";
import { ignoreMissing } from "../../formats/files.ts";
import type { Artifact, Costs } from "../stage.ts";

/** A run that cannot begin: another one is going on, or a stage was asked for that is not there. */
export class RunError extends InputError {
  /** The class. */
  override readonly name = "RunError";
}

/**
 * What a run of a stage takes, as far as its type tells; undefined if that depends on an input that is not there yet.
 *
 * @throws {RunError} If that is more memory than its options allow.
 */
export async function stageCosts(
  { stage, artifacts }: { readonly stage: PipelineStage; readonly artifacts: ReadonlyMap<string, Artifact> },
): Promise<Costs | undefined> {
  try {
    return await stage.spec.cost?.(stage.options as never, inputsOf(stage, artifacts)) ?? {};
  } catch (error) {
    if (error instanceof MemoryError) throw new RunError(`Stage "${stage.id}": ${error.message}`);
    ignoreMissing(error);
    return undefined;
  }
}

/** A stage's inputs as its type takes them. */
export function inputsOf(stage: PipelineStage, artifacts: ReadonlyMap<string, Artifact>): never {
  const artifact = (id: string) => artifacts.get(id)!;
  const inputs = Object.keys(stage.spec.inputs).map((key) => {
    const name = key.replace(/[?*]$/, "");
    const from = stage.inputs[name]?.map(artifact);
    return [name, key.endsWith("*") ? from ?? [] : from?.[0]];
  });
  return Object.fromEntries(inputs) as never;
}

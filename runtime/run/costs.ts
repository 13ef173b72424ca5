/**
 * Costs of a run of a stage, and runs that cannot begin.
 *
 * @module
 */
import { type ErrorCode, InputError } from "../../formats/input_error.ts";
import type { PipelineStage } from "../pipeline/file.ts";
import { MemoryError, type PlanObserver } from "../../engine/plan/records.ts";
import { ignoreMissing } from "../../formats/files.ts";
import { type Artifact, type Costs, inputsOf } from "../stage.ts";

/** A run that cannot begin: another one is going on, or a stage was asked for that is not there. */
export class RunError extends InputError {
  /** The class. */
  override readonly name = "RunError";
  /** See {@linkcode InputError}. */
  override readonly code: ErrorCode = "run";
}

/**
 * Costs of a run of a stage, as its type estimates them; undefined if they depend on an input that is not made yet.
 *
 * @param onPlan Receives each plan that the costs are found with.
 * @throws {RunError} If that is more memory than its options allow.
 */
export async function stageCosts(
  { stage, artifacts }: { readonly stage: PipelineStage; readonly artifacts: ReadonlyMap<string, Artifact> },
  onPlan: PlanObserver = () => {},
): Promise<Costs | undefined> {
  try {
    return await stage.spec.cost?.(stage.options, inputsOf(stage, artifacts), onPlan) ?? {};
  } catch (error) {
    if (error instanceof MemoryError) throw new RunError(`Stage "${stage.id}": ${error.message}`);
    ignoreMissing(error);
    return undefined;
  }
}

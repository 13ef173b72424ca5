/**
 * A thread that asks WebGPU for adapters: WebGPU opens its drivers once in each thread, at the first request, with the
 * environment of that moment.
 *
 * @module
 */

import { setEnvironment } from "../formats/host.ts";
import { type AdapterFacts, type AdapterRequest, factsOf } from "./adapters.ts";

/** Global scope of a worker, as far as it is used. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<AdapterRequest["environment"]>) => void) | null;
  postMessage(found: readonly (readonly [GPUPowerPreference, AdapterFacts])[]): void;
}

const scope = globalThis as unknown as WorkerScope;

scope.onmessage = async ({ data: environment }) => {
  const restore = setEnvironment(environment);
  const found: [GPUPowerPreference, AdapterFacts][] = [];
  for (const powerPreference of ["high-performance", "low-power"] as const) {
    const adapter = await navigator.gpu?.requestAdapter({ powerPreference });
    if (adapter) found.push([powerPreference, factsOf(adapter)]);
  }
  restore();
  scope.postMessage(found);
};

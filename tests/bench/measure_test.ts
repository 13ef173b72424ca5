import assert from "node:assert/strict";
import { measureCeiling, multiplyAdds } from "../../bench/measure.ts";
import { gpuTest } from "../gpu.ts";

const BRIEF = { runs: 1, least_ms: 1 };

gpuTest("the arithmetic ceiling's largest dispatch is within WebGPU's limits", async (device) => {
  assert.ok(await multiplyAdds(device, undefined, 1, BRIEF) > 0);
  device.check();
});

gpuTest("both ceilings are measured, again with what was found to be enough", async (device) => {
  for (const which of ["arithmetic", "copy", "arithmetic", "copy"] as const) {
    const ceiling = await measureCeiling(device, which, BRIEF);
    assert.ok(ceiling > 0.1 && ceiling < 1e6, `${which}: ${ceiling}`);
  }
  device.check();
});

/**
 * Tests on the GPU: one device for all tests of a file, opened before the first and closed after the last, so that Deno's
 * leak checks stay on in each.
 *
 * @module
 */

import { type Device, type DeviceOptions, openDevice } from "../engine/device.ts";
import type { Candidate, KernelSelector } from "../engine/graph.ts";
import { showCandidate } from "../engine/tuning/select.ts";

/** The adapter as if it were hardware: storage buffers, and kernels that tile in workgroup memory. */
export const TILED: DeviceOptions = { storage: "buffer", tiled: true };

/** The adapter with kernels that do not tile, which software drivers have anyway. */
export const UNTILED: DeviceOptions = { tiled: false };

/** Options of a test's device. */
export interface TestDeviceOptions extends DeviceOptions {
  /** Kernels to use wherever an op has them, such as `{ TILED: 1 }`, however few tiles a case has. */
  candidate?: Candidate;
}

/** Selects a candidate of the ops that have it. */
function selectorOf(candidate: Candidate): KernelSelector {
  return { select: (_, candidates) => candidates.find((one) => showCandidate(one) === showCandidate(candidate)) };
}

const wanted = new Map<string, TestDeviceOptions>();
const opened = new Map<string, Device>();

Deno.test.beforeAll(async () => {
  for (const [key, options] of wanted) {
    const device = await openDevice(options);
    opened.set(key, options.candidate ? { ...device, selector: selectorOf(options.candidate) } : device);
  }
});

Deno.test.afterAll(() => {
  for (const device of opened.values()) device.destroy();
  opened.clear();
});

/** The device that {@linkcode gpuTest} opened for a test of this file with these options. */
export function testDevice(options: TestDeviceOptions = {}): Device {
  const device = opened.get(JSON.stringify(options));
  if (!device) throw new Error("Cannot use a device here: it is there during a gpuTest() with the same options");
  return device;
}

/**
 * Registers a test that runs on a device, the default one unless `options` ask for another.
 *
 * @param options Those of the device, and `ignore` to leave the test out.
 */
export function gpuTest(
  name: string,
  fn: (device: Device) => Promise<void> | void,
  { ignore = false, ...options }: TestDeviceOptions & { readonly ignore?: boolean } = {},
): void {
  if (!ignore) wanted.set(JSON.stringify(options), options);
  Deno.test({ name, ignore, fn: () => fn(testDevice(options)) });
}

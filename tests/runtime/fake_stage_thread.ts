/** A thread that makes the fake stages, on a device that is none. */
import type { Device } from "../../engine/device.ts";
import { serveStages } from "../../runtime/run/worker.ts";
import { registry } from "./fake_stages.ts";

serveStages(
  registry,
  (options) => Promise.resolve({ name: JSON.stringify(options), memory: { live: 1, peak: 1 }, destroy() {} } as Device),
);

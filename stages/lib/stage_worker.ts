/**
 * A thread that makes stages, see `RunOptions.thread` in `../runtime/pipeline_run.ts`.
 *
 * @module
 */

import { openDevice } from "../../engine/device.ts";
import { serveStages } from "../../runtime/run/worker.ts";
import { stages } from "../mod.ts";

serveStages(stages, openDevice);

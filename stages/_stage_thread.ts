/**
 * A thread that makes stages, see `RunOptions.thread` in `../runtime/pipeline_run.ts`.
 *
 * @module
 */

import { openDevice } from "../runtime/device.ts";
import { serveStages } from "../runtime/stage_thread.ts";
import { stages } from "./mod.ts";

serveStages(stages, openDevice);

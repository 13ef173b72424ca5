/**
 * A thread that makes batches, see `Batches` in `_batches.ts`.
 *
 * @module
 */

import { serve } from "../../engine/worker_pool.ts";
import { batchMaker } from "./batches.ts";

serve(batchMaker);

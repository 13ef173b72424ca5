/**
 * A thread that makes batches, see `Batches` in `_batches.ts`.
 *
 * @module
 */

import { serve } from "../runtime/worker_pool.ts";
import { batchMaker } from "./_batches.ts";

serve(batchMaker);

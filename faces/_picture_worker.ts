/**
 * A thread for pictures, see `PicturePool` in `picture_pool.ts`.
 *
 * @module
 */

import { serve } from "../runtime/worker_pool.ts";
import { answer } from "./picture_pool.ts";

serve(() => answer);

/**
 * A thread for pictures, see `PicturePool` in `picture_pool.ts`.
 *
 * @module
 */

import { serve } from "../../engine/worker_pool.ts";
import { answer } from "./pool.ts";

serve(() => answer);

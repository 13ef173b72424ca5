/**
 * A thread that decodes, crops and encodes images, see `PicturePool` in `pool.ts`.
 *
 * @module
 */

import { serve } from "../../engine/worker_pool.ts";
import { answer } from "./pool.ts";

serve(() => answer);

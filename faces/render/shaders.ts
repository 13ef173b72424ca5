/**
 * Shaders of the renderer, put together from files that several of them share.
 *
 * @module
 */
import head from "../../shaders/face_render_head.wgsl" with { type: "text" };
import landmarks from "../../shaders/face_render_landmarks.wgsl" with { type: "text" };
import params from "../../shaders/face_render_params.wgsl" with { type: "text" };
import style from "../../shaders/face_render_style.wgsl" with { type: "text" };
import surface from "../../shaders/face_render_surface.wgsl" with { type: "text" };
import { TEXEL_CONSTANTS } from "./texels.ts";

const common = `${TEXEL_CONSTANTS} ${params}`;

/** WGSL by the name of the file that has the entry points. */
export const SHADERS = {
  face_render_landmarks: common + head + landmarks,
  face_render_surface: common + head + surface,
  face_render_style: common + style,
};

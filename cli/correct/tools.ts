/// <reference lib="dom" />
/**
 * Tools that place landmarks: the detector's guess, snapping, the other side; and their marks.
 *
 * @module
 */
import { refit } from "../../faces/refit.ts";
import { guessFace, type Point, ServerError } from "./api.ts";
import { type Grey, greyOf, snapContour } from "./edges.ts";
import { editor, featureOf, type Open } from "./editor.ts";
import { say, status } from "./elements.ts";
import { pairs } from "./gestures.ts";
import { commit, flushKeys } from "./history.ts";
import { needed } from "./selection.ts";
import { boxOf, mirrorFrom } from "./shapes.ts";

/** Reach of snapping, as a share of the face's size. */
const SNAP_SHARE = 0.035;

/** Asks the detector for the place where the face is now; landmarks that were placed by hand stay. */
export async function guess(): Promise<void> {
  if (!editor.open) return;
  flushKeys();
  if (!editor.folder.guesses) return say(`There is no guess: ${editor.folder.reason}`);
  const face = editor.open, { landmarks } = face.state;
  status("The detector looks at the face");
  try {
    const found = await guessFace(face.index, landmarks);
    if (face !== editor.open) return;
    commit({ landmarks: placeRest(found.landmarks) });
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    status("Saved");
    say(error.message);
  }
}

/** Landmarks of a detector for the open face: those that were placed by hand stay, and the others follow them. */
export function placeRest(found: readonly Point[]): Point[] {
  const { landmarks, pinned } = editor.open!.state;
  const { schema, errors } = editor.folder;
  return pairs(refit(found.flat(), new Map(pinned.map((p) => [p, landmarks[p]!])), schema, errors));
}

/** Puts the contour of the selected landmark on the nearest edge. */
export async function snap(): Promise<void> {
  const p = needed();
  if (!editor.open || p === null) return;
  flushKeys();
  const contour = editor.folder.schema.contours.find(({ points }) => points.includes(p));
  if (!contour) return say("The landmark is on no contour.");
  const face = editor.open, { landmarks, pinned } = face.state, { w, h } = boxOf(landmarks, [...landmarks.keys()]);
  const reach = Math.max(1.5, SNAP_SHARE * Math.sqrt(w * h));
  try {
    const { grey, left, top } = await surroundings(face, contour.points, 2 * reach);
    if (face !== editor.open || face.state.landmarks !== landmarks) return;
    const inside = landmarks.map(([x, y]): Point => [x - left, y - top]);
    const snapped = snapContour(grey, inside, contour.points, contour.closed, new Set(pinned), reach);
    commit({
      landmarks: landmarks.map((place, k) =>
        contour.points.includes(k) ? [snapped[k]![0] + left, snapped[k]![1] + top] : place
      ),
    });
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    say("This browser cannot decode the picture.");
  }
}

/** Brightness of the picture around some landmarks, and where its left top pixel is. */
async function surroundings(
  { picture, state: { landmarks }, details: { width, height } }: Open,
  some: readonly number[],
  pad: number,
): Promise<{ grey: Grey; left: number; top: number }> {
  const { x, y, w, h } = boxOf(landmarks, some), inside = (px: number, side: number) => Math.min(side, Math.max(0, px));
  const left = Math.min(width - 1, inside(Math.floor(x - pad), width));
  const top = Math.min(height - 1, inside(Math.floor(y - pad), height));
  const wide = Math.max(1, inside(Math.ceil(x + w + pad), width) - left);
  const high = Math.max(1, inside(Math.ceil(y + h + pad), height) - top);
  const bitmap = await createImageBitmap(picture, left, top, wide, high);
  const context = new OffscreenCanvas(wide, high).getContext("2d")!;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { grey: greyOf(context.getImageData(0, 0, wide, high).data, wide, high), left, top };
}

/** Places the feature of the selected landmark as on the other side. */
export function mirror(): void {
  const p = needed();
  if (!editor.open || p === null) return;
  flushKeys();
  const { points } = featureOf(p), { landmarks } = editor.open.state, { mirror } = editor.folder.schema;
  // Of a feature on the middle line the half with the selected landmark is placed.
  const own = new Set(points), side = Math.sign(p - mirror[p]!);
  const half = points.some((q) => q !== mirror[q] && own.has(mirror[q]!))
    ? points.filter((q) => Math.sign(q - mirror[q]!) === side)
    : points;
  commit({ landmarks: mirrorFrom(landmarks, mirror, half) });
}

/** Marks the selected landmark, or takes the mark away. */
export function toggle(list: "occluded" | "pinned"): void {
  const p = needed();
  if (!editor.open || p === null) return;
  flushKeys();
  const now = editor.open.state[list];
  commit({ [list]: now.includes(p) ? now.filter((q) => q !== p) : [...now, p] });
}

/** Puts all landmarks back to where they were before any correction. */
export function reset(): void {
  if (!editor.open) return;
  flushKeys();
  commit({ ...editor.open.details.original, verdict: editor.open.state.verdict });
}

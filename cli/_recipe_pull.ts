/**
 * Changes of an edit's text by dragging a landmark.
 *
 * @module
 */
import { landmarksNamed } from "../faces/edit_file.ts";
import { applyEdit, type Edit, faceFrame } from "../faces/edits.ts";
import { pointAt } from "../faces/geometry.ts";
import type { Landmarks } from "../faces/landmarks.ts";
import { roundTo } from "../faces/statistics.ts";
import { setYaml } from "../formats/yaml_edit.ts";
import { getIn, parseYaml, toJS } from "../formats/yaml_tree.ts";
import { Refusal } from "./_local_server.ts";

/** A landmark that is dragged, and how the edit is applied meanwhile. */
export interface Pull {
  /** The landmark. */
  readonly point: number;
  /** Its new place, pixels. */
  readonly to: readonly [x: number, y: number];
  /** Strength of the edit, see {@linkcode applyEdit}. */
  readonly amount: number;
  /** Random factors, see {@linkcode applyEdit}. */
  readonly draws: Readonly<Record<string, number>>;
}

/** Least strength of a move that can be pulled: a weaker one would jump. */
const LEAST_STRENGTH = 0.05;
/** Largest part of an offset, iod. */
const MOST_IOD = 1;

/**
 * Changes the text of an edit so that a landmark comes to a place.
 *
 * The move that names the fewest landmarks beside it is changed; where none names it, a new one is added.
 *
 * @param text Text of the edit.
 * @param edit The same, read.
 * @param landmarks `[P, 2]`, pixels, before the edit.
 * @returns The new text.
 * @throws {Refusal} If there is no such landmark, or the edit is too weak now.
 */
export function pullLandmark(text: string, edit: Edit, landmarks: Landmarks, pull: Pull): string {
  const { point, to, amount, draws } = pull, { schema } = edit;
  if (point >= schema.count) throw new Refusal(400, "pull: there is no such landmark");
  const strengths = edit.moves.map(({ offset_iod, multiply_by }) =>
    offset_iod.has(point) ? amount * (multiply_by === undefined ? 1 : draws[multiply_by] ?? 0) : 0
  );
  const able = [...edit.moves.keys()].filter((i) => Math.abs(strengths[i]!) >= LEAST_STRENGTH)
    .sort((a, b) => edit.moves[a]!.offset_iod.size - edit.moves[b]!.offset_iod.size);
  const i = able[0] ?? edit.moves.length, strength = strengths[i] ?? amount;
  if (Math.abs(strength) < LEAST_STRENGTH) throw new Refusal(422, "The amount is too small here to drag landmarks");
  const factor = edit.moves[i]?.multiply_by, isLateral = factor !== undefined && edit.random.get(factor)!.lateral;
  const isCentral = schema.mirror[point] === point;

  const { unit, cos, sin, widthAt } = faceFrame(landmarks, schema);
  const [x, y] = pointAt(applyEdit(landmarks, edit, amount, draws), point), dx = to[0] - x, dy = to[1] - y;
  const width = isLateral ? 1 : widthAt(point);
  let across = (cos * dx + sin * dy) / (unit * strength * Math.max(width, LEAST_STRENGTH));
  let down = (cos * dy - sin * dx) / (unit * strength);
  if (isCentral) isLateral ? down = 0 : across = 0;

  const old = offsetIn(text, i);
  // The half that is not named makes the mirrored move.
  if (old && !old.named.some((entry) => landmarksNamed(entry, schema)?.includes(point))) {
    isLateral ? down = -down : across = -across;
  }
  const limited = (iod: number) => roundTo(Math.min(Math.max(iod, -MOST_IOD), MOST_IOD), 3) || 0;
  const offset = [limited((old?.offset_iod[0] ?? 0) + across), limited((old?.offset_iod[1] ?? 0) + down)];
  if (!old) return setYaml(text, ["moves", i], { points: [point], offset_iod: offset });
  return offset.reduce((text, iod, axis) => setYaml(text, ["moves", i, "offset_iod", axis], iod), text);
}

/** A move as the text has it; undefined where it has none. */
function offsetIn(text: string, i: number) {
  const tree = getIn(parseYaml({ name: "text", text }, []) ?? undefined, ["moves", i]);
  if (!tree) return undefined;
  const { points, offset_iod } = toJS(tree) as { points: (number | string)[]; offset_iod: [number, number] };
  return { named: points, offset_iod };
}

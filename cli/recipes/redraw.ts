/// <reference lib="dom" />
/**
 * Redraws: one request at a time, the last wish counts, and what nobody waits for comes when the hand rests.
 *
 * @module
 */
import { type Change, draw, type Drawn, type DrawRequest, type Point, ServerError } from "./api.ts";
import { element, status } from "../correct/elements.ts";
import { isStyle, state, textNow } from "./state.ts";

/** Side of the picture while values change, on a slow machine and on others, and when they rest. */
const SLOW_PX = 64, MOVING_PX = 128, RESTING_PX = 256;
/** Time of a redraw above which the next one is smaller, and below which it is larger again. */
const SLOW_MS = 200, FAST_MS = 60;
/** Time after a change before pictures of other people and larger ones are drawn. */
const REST_MS = 300;
/** People beside the one that is drawn large. */
export const OTHERS = 5;

/** Receives what was drawn. */
export interface Receiver {
  /** The text was read; the picture of its person, if there are no mistakes. */
  drawn(drawn: Drawn, person: number): void;
  /** A picture of another person, or a larger one. */
  picture(picture: string, person: number): void;
  /** Something is being drawn, or no longer. */
  busy(is: boolean): void;
  /** A change could not be made. */
  failed(message: string): void;
}

let receiver: Receiver, running = false, wanted = false, changes: Change[] = [], group = "";
let pulled: DrawRequest["pull"], moving_px = MOVING_PX;
/** Those who wait until all changes are in the text. */
const waiting: (() => void)[] = [];
/** Person whose face the page has, with the landmarks that edits move. */
let pictured: number | undefined;

/** Names the receiver. */
export function receive(by: Receiver): void {
  receiver = by;
}

/** Sets a value of the text, then draws. */
export function changeValue(change: Change): void {
  group = JSON.stringify(change.path);
  changes = [...changes.filter(({ path }) => JSON.stringify(path) !== group), change];
  redraw();
}

/** Drags a landmark of an edit to a place of its picture, then draws. */
export function pullLandmark(point: number, to: Point): void {
  group = `pull ${point}`;
  pulled = { point, to };
  redraw();
}

/** Takes a text that was typed, then draws. */
export function changeText(text: string, kind = "text"): void {
  state.draft.history.add(text, kind);
  redraw();
}

/** Forgets changes that were not made yet: another file is open. */
export function dropChanges(): void {
  [changes, pulled] = [[], undefined];
}

/** Draws as soon as the picture before is done. */
export function redraw(): void {
  wanted = true;
  receiver.busy(true);
  if (!running) void work();
}

/** Resolves when all changes are in the text. */
export async function settled(): Promise<void> {
  if (wanted || element("pictures").ariaBusy === "true") await new Promise<void>((resolve) => waiting.push(resolve));
}

async function work(): Promise<void> {
  running = true;
  try {
    for (;;) {
      if (wanted) {
        wanted = false;
        await drawNow();
        if (wanted) continue;
        receiver.busy(false);
        for (const resolve of waiting.splice(0)) resolve();
      } else if (!await refine()) break;
    }
  } finally {
    running = false;
  }
}

/** The request for the text as it is. */
function request(person: number, size_px: number, made: readonly Change[] = [], pull?: DrawRequest["pull"]) {
  const { draft: { saved: { file, kind } }, amount, draws } = state;
  const isNew = pictured !== person;
  return { file, kind, text: textNow(), changes: made, pull, person, size_px, amount, draws, pictured: isNew };
}

async function drawNow(): Promise<void> {
  const { draft, person } = state, before = textNow(), made = changes, pull = pulled, name = group;
  [changes, pulled] = [[], undefined];
  try {
    const start = performance.now();
    const drawn = await draw(request(person, moving_px, made, pull)), took = performance.now() - start;
    if (took > SLOW_MS || took < FAST_MS) moving_px = took > SLOW_MS ? SLOW_PX : MOVING_PX;
    if (state.draft !== draft) { // another file was opened meanwhile
      if ((made.length || pull) && draft.history.text === before) draft.history.add(drawn.text, name);
      return;
    }
    if (textNow() !== before) { // typed meanwhile: the change goes into the new text
      changes = [...made, ...changes];
      wanted = true;
      return;
    }
    if (made.length || pull) draft.history.add(drawn.text, name);
    if (!isStyle() && drawn.picture !== undefined) pictured = person;
    if (isStyle()) pictured = undefined;
    finished.clear();
    receiver.drawn(drawn, person);
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    if (error.status === 0) status(error.message, true);
    else receiver.failed(error.message);
  }
}

/** Pictures that are there, of the text as it is. */
const finished = new Set<string>();

/** Draws one picture that is missing; false if there is none. */
async function refine(): Promise<boolean> {
  if (!isStyle() || state.problems.length || state.list.reason) return false;
  const { person, draft } = state, text = textNow();
  const pictures = [
    ...Array.from({ length: OTHERS }, (_, k) => [person + 1 + k, MOVING_PX] as const),
    [person, RESTING_PX] as const,
  ];
  const next = pictures.find((one) => !finished.has(one.join()));
  if (!next) return false;
  const [who, size_px] = next;
  if (finished.size === 0 || size_px === RESTING_PX) {
    await new Promise((resolve) => setTimeout(resolve, REST_MS));
    if (wanted) return true;
  }
  try {
    const { picture } = await draw(request(who, size_px));
    if (state.draft !== draft || textNow() !== text || state.person !== person) return true;
    finished.add(next.join());
    if (picture !== undefined) receiver.picture(picture, who);
    return true;
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    return false; // the next change will say it
  }
}

/// <reference lib="dom" />
/**
 * The server of the page, as the page sees it.
 *
 * @module
 */
import { asking } from "./asking.ts";
import type { Contour, Dots, Span } from "../../faces/schema.ts";
import type { AdaptState } from "../_correct_adapt.ts";
import type { Errors, Found } from "../_correct_compare.ts";
import type { Guess } from "../_correct_guesser.ts";
import type { FaceState, FaceView } from "../_correct_journal.ts";
import type { Box } from "../_correct_pictures.ts";
import type { PairReview } from "../_correct_review.ts";

export { ServerError } from "./asking.ts";
export type { AdaptState, Box, Errors, FaceState, FaceView, Found, Guess };

/** A landmark, pixels; 0 is the centre of the first one. */
export type Point = readonly [x: number, y: number];

/** A schema as JSON has it. */
export interface PageSchema {
  /** Name. */
  readonly name: string;
  /** Number of landmarks, P. */
  readonly count: number;
  /** Names of landmarks that have one, by index. */
  readonly names: Readonly<Record<string, string>>;
  /** Lines of the face. */
  readonly contours: readonly Contour[];
  /** Landmarks on no contour. */
  readonly dots: readonly Dots[];
  /** Parts of the face. */
  readonly regions: Readonly<Record<string, readonly number[]>>;
  /** The landmark that takes the place of each in the mirrored face. */
  readonly mirror: readonly number[];
  /** Distances that errors are divided by. */
  readonly normalisers: Readonly<Record<"interocular" | "interpupil", Span>>;
}

/** A face in the list. */
export interface FaceSummary {
  /** Place in the folder. */
  readonly index: number;
  /** Its image. */
  readonly file_name: string;
  /** Number of the face in the image, from 1. */
  readonly face: number;
  /** Style, if the folder has styles. */
  readonly style: string;
  /** Group, if the folder has groups. */
  readonly group: string;
  /** Number of changes. */
  readonly revision: number;
  /** Doubt, percent; null where it is not known (yet). */
  readonly doubt: number | null;
  /** Score of the finder. */
  readonly score: number | null;
  /** Verdict of the person. */
  readonly verdict: FaceState["verdict"];
  /** Errors of the two that are compared; null where they are not known (yet). */
  readonly compare: Errors | null;
  /** True if a person placed or hid landmarks. */
  readonly changed: boolean;
  /** True for a face that is there, or was, only by correction. */
  readonly added: boolean;
  /** True for a face that is not there: of a picture without one, or one that was added and taken away again. */
  readonly absent: boolean;
  /** Tight box of the landmarks, pixels: left, top, width, height. */
  readonly box: Box;
}

/** All faces of the folder. */
export interface FolderFaces {
  /** The folder. */
  readonly dir: string;
  /** Its kind, in words. */
  readonly kind: string;
  /** Schema of the landmarks. */
  readonly schema: PageSchema;
  /** Usual shape of the faces, `[P][2]`, 0 to 1. */
  readonly shape: readonly Point[];
  /** True if a detector guesses landmarks. */
  readonly guesses: boolean;
  /** Reason for which none does. */
  readonly reason: string;
  /** True if faces can be added to the pictures. */
  readonly adds: boolean;
  /** Names of the two that are compared; null where nothing is. */
  readonly compare: readonly [string, string] | null;
  /** Covariance of the detector's errors, `[2P, 2P]`; null where it is not known. */
  readonly errors: readonly number[] | null;
  /** True if a detector can be fitted to the corrected faces. */
  readonly adapts: boolean;
  /** The faces, in the order of the folder. */
  readonly faces: readonly FaceSummary[];
}

/** A face that is opened. */
export interface FaceDetails extends FaceView {
  /** Its line of the list. */
  readonly summary: FaceSummary;
  /** State before any correction. */
  readonly original: FaceState;
  /** Width of the picture, pixels. */
  readonly width: number;
  /** Height of the picture, pixels. */
  readonly height: number;
  /** Uncertainty of each landmark, pixels, where a detector found them. */
  readonly uncertainty_px: readonly number[] | null;
  /** Finding of `dataset/review`; null where there is none. */
  readonly review: PairReview | null;
}

/** A face that is compared. */
export interface ComparedFace {
  /** Landmarks of both. */
  readonly found: Found;
  /** Its line of the list, with the errors. */
  readonly summary: FaceSummary;
}

/** A change that came from the server. */
export interface ChangeEvent extends Partial<FaceView> {
  /** The face, with its new line. */
  readonly summary: FaceSummary;
}

/** Time after which a server that has another address is asked again. */
const AGAIN_MS = 5000;
const { ask, post } = asking("The server does not answer");

/** Lists the faces. */
export async function listFaces(): Promise<FolderFaces> {
  return await (await ask("faces")).json();
}

/** The faces, by index, in the order of what their correction would add. */
export async function nextFaces(): Promise<number[]> {
  return await (await ask("next")).json();
}

/** Opens a face. */
export async function openFace(index: number): Promise<FaceDetails> {
  return await (await ask(`face/${index}`)).json();
}

/** Findings of the two that are compared. */
export async function comparedFace(index: number): Promise<ComparedFace> {
  return await (await ask(`compare/${index}`)).json();
}

/** The picture of a face. */
export async function pictureOf(index: number): Promise<Blob> {
  return await (await ask(`image/${index}`)).blob();
}

/** Changes a face; the change follows a revision. */
export async function setFace(face: number, state: FaceState, revision: number): Promise<FaceView> {
  return await post("set", { face, state, revision });
}

/** Takes a change back, or does it again. */
export async function stepFace(face: number, direction: "undo" | "redo", revision: number): Promise<FaceView> {
  return await post(direction, { face, revision });
}

/** The detector's landmarks of a face at the place of some landmarks. */
export async function guessFace(face: number, landmarks: readonly Point[]): Promise<Guess> {
  return await post("guess", { face, landmarks });
}

/** Something that a page can ask of the fit: to start, to stop, or to guess with what it made. */
export type AdaptAct = "start" | "cancel" | "use";

/** The state of the fit. */
export async function adaptState(): Promise<AdaptState> {
  return await (await ask("adapt")).json();
}

/** Acts on the fit. */
export async function adaptAct(act: AdaptAct): Promise<AdaptState> {
  return await post("adapt", { act });
}

/** Adds a face to a picture at a box; returns its line of the list. */
export async function addFace(file_name: string, box: Box): Promise<FaceSummary> {
  return await post("add", { file_name, box });
}

/** Adds the faces of a picture that are found in it and not there yet; returns their lines of the list. */
export async function findFaces(file_name: string): Promise<readonly FaceSummary[]> {
  return await post("find", { file_name });
}

/** Listens to changes, from here and from elsewhere, and to the fit. */
export function listen(
  { change, adapt, connected }: {
    change(event: ChangeEvent): void;
    adapt(state: AdaptState): void;
    /** "moved": the server answers, and has no such address. */
    connected(how: "open" | "lost" | "moved"): void;
  },
): void {
  const source = new EventSource("events"), again = () => listen({ change, adapt, connected });
  source.onmessage = ({ data }) => {
    const event = JSON.parse(data as string) as ChangeEvent | { readonly adapt: AdaptState };
    if ("adapt" in event) adapt(event.adapt);
    else change(event);
  };
  source.onopen = () => connected("open");
  source.onerror = () => {
    // A browser asks again by itself after silence, and not after an answer that is an error.
    const isClosed = source.readyState === EventSource.CLOSED;
    if (isClosed) setTimeout(again, AGAIN_MS);
    connected(isClosed ? "moved" : "lost");
  };
}

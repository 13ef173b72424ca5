/**
 * States of the faces that are corrected, their histories, and the journal on disk.
 *
 * Every change is appended to `corrections.jsonl` before it counts, so that a killed process loses none. Closing rewrites the
 * file with the last state of each face; the files of the faces are never written.
 *
 * @module
 */
import {
  type Correction,
  CORRECTIONS,
  faceKey,
  formatCorrection,
  isAdded,
  lastStates,
  parseCorrections,
} from "../formats/corrections.ts";
import { writeError } from "../formats/disk_error.ts";
import { exists, readTextIfExists, removeIfExists, writeAtomic } from "../formats/files.ts";
import { InputError } from "../formats/input_error.ts";
import { counted } from "../formats/numbers.ts";
import { isOfFace, pointsOf } from "../faces/data/corrections.ts";
import { addedFace, type SourcePicture } from "./_correct_pictures.ts";
import type { FaceSource, SourceFace } from "./_correct_source.ts";
import { Refusal } from "./_local_server.ts";

/** State of a face. */
export interface FaceState {
  /** `[P][2]`, pixels of the image, thousandths. */
  readonly landmarks: readonly (readonly [number, number])[];
  /** Landmarks that are hidden in the picture, by index. */
  readonly occluded: readonly number[];
  /** Landmarks that were placed by hand, by index. */
  readonly pinned: readonly number[];
  /** Verdict of the person. */
  readonly verdict: "accepted" | "rejected" | null;
}

/** A face with its history. */
export interface FaceView {
  /** State now. */
  readonly state: FaceState;
  /** Number of changes so far; a change names the one that it follows. */
  readonly revision: number;
  /** Changes that can be undone. */
  readonly undo: number;
  /** Changes that can be redone. */
  readonly redo: number;
}

/** A change that follows a state which is no longer the last one. */
export class ConflictError extends Refusal {
  /** The class. */
  override readonly name = "ConflictError";

  /** Takes the reason. */
  constructor(message: string) {
    super(409, message);
  }
}

/** History of a face: states from the original on, and the place of the one that counts. */
interface History {
  readonly states: FaceState[];
  at: number;
  revision: number;
}

type Step = NonNullable<Correction["step"]>;

/** See the module. */
export class Journal implements Disposable {
  readonly #path: string;
  readonly #faces: SourceFace[];
  readonly #histories: History[];
  readonly #pictures: ReadonlyMap<string, SourcePicture>;
  /** Corrections of faces that are not in the folder now. */
  readonly #others: readonly Correction[];
  readonly #file: Deno.FsFile;
  #closed = false;

  private constructor(
    path: string,
    { faces, pictures }: FaceSource,
    journal: readonly Correction[],
    file: Deno.FsFile,
  ) {
    [this.#path, this.#faces, this.#file] = [path, [...faces], file];
    this.#histories = faces.map(historyOf);
    this.#pictures = new Map(pictures.map((picture) => [picture.file_name, picture]));
    const places = new Map(faces.map((face, k) => [faceKey(face), k]));
    const others: Correction[] = [], unfit = new Set<string>();
    for (const correction of journal) {
      const key = faceKey(correction), picture = this.#pictures.get(correction.file_name);
      let k = places.get(key);
      if (k === undefined && isAdded(correction) && picture) {
        k = this.#push(addedFace(picture, correction.face, flat(correction.landmarks)));
        places.set(key, k);
      }
      if (k === undefined) others.push(correction);
      else if (!fits(correction, this.#faces[k]!)) unfit.add(key);
      else replay(this.#histories[k]!, correction);
    }
    if (unfit.size) {
      const [first] = unfit;
      throw new InputError(
        `Cannot go on with ${path}: it has ${
          counted(unfit.size, "correction")
        } of other faces than those that are there ` +
          `now, as that of ${first}`,
        { hint: "--undo-all sets the corrections aside" },
      );
    }
    this.#others = [...lastStates(others).values()];
  }

  /**
   * Opens the journal of a folder, and goes on where it ends.
   *
   * @throws {InputError} If another process corrects the folder, or the journal is damaged or of other faces.
   */
  static open(source: FaceSource): Journal {
    const path = `${source.dir}/${CORRECTIONS}`;
    const file = attempt(path, () => Deno.openSync(path, { read: true, append: true, create: true }));
    try {
      if (!file.tryLockSync(true)) {
        throw new InputError(`Cannot correct ${source.dir}: another process corrects it`, {
          hint: "open the address that the other one printed: several people can work on one page",
        });
      }
      const text = readTextIfExists(path) ?? "";
      const journal = parseCorrections(text, path);
      // A line that a crash cut short would spoil the next one.
      const whole = new TextEncoder().encode(text.slice(0, text.lastIndexOf("\n") + 1)).length;
      attempt(path, () => file.truncateSync(whole));
      return new Journal(path, source, journal, file);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Number of faces. */
  get count(): number {
    return this.#faces.length;
  }

  /** The faces: those of the folder, and those that were added. */
  get faces(): readonly SourceFace[] {
    return this.#faces;
  }

  /**
   * Adds a face to a picture, in the place of one that was taken away again if there is one.
   *
   * @param picture One of the source's.
   * @returns The face's number in {@linkcode Journal.faces}.
   */
  add(picture: SourcePicture, landmarks: FaceState["landmarks"]): number {
    const state: FaceState = { landmarks, occluded: [], pinned: [], verdict: null };
    const own = [...this.#faces.keys()].filter((k) => this.#faces[k]!.file_name === picture.file_name);
    const free = own.find((k) => this.isAbsent(k));
    if (free !== undefined) {
      this.set(free, state, this.view(free).revision);
      return free;
    }
    const numbers = [
      ...own.map((k) => this.#faces[k]!),
      ...this.#others.filter(({ file_name }) => file_name === picture.file_name),
    ].map(({ face }) => face);
    const k = this.#push(addedFace(picture, Math.max(0, ...numbers) + 1, flat(landmarks)));
    try {
      this.set(k, state, 0);
    } catch (error) {
      this.#faces.pop();
      this.#histories.pop();
      throw error;
    }
    return k;
  }

  /** True for a face that was added, and is not there now. */
  isAbsent(k: number): boolean {
    return this.#faces[k]?.added === true && this.view(k).state.verdict === "rejected";
  }

  #push(face: SourceFace): number {
    this.#histories.push(historyOf(face));
    return this.#faces.push(face) - 1;
  }

  /** A face as it is now. */
  view(k: number): FaceView {
    const { states, at, revision } = this.#history(k);
    return { state: states[at]!, revision, undo: at, redo: states.length - 1 - at };
  }

  /** A face before any correction. */
  original(k: number): FaceState {
    return this.#history(k).states[0]!;
  }

  /**
   * Changes a face; what had been undone is gone.
   *
   * @param revision The one that the change follows.
   * @throws {ConflictError} If the face was changed since.
   */
  set(k: number, state: FaceState, revision: number): FaceView {
    const history = this.#check(k, revision);
    this.#append(k, state, "set");
    history.states.splice(history.at + 1, Infinity, state);
    return this.#moved(k, history.at + 1);
  }

  /** Takes the last change of a face back, or the last one that was taken back again; throws as {@linkcode set}. */
  step(k: number, direction: "undo" | "redo", revision: number): FaceView {
    const history = this.#check(k, revision);
    const at = history.at + (direction === "undo" ? -1 : 1), state = history.states[at];
    if (!state) return this.view(k);
    this.#append(k, state, direction);
    return this.#moved(k, at);
  }

  #moved(k: number, at: number): FaceView {
    const history = this.#history(k);
    history.at = at;
    history.revision++;
    return this.view(k);
  }

  #history(k: number): History {
    const history = this.#histories[k];
    if (!history) throw new RangeError(`Cannot take face ${k} of ${this.count}`);
    return history;
  }

  #check(k: number, revision: number): History {
    const history = this.#history(k);
    if (history.revision !== revision) throw new ConflictError("the face was changed elsewhere");
    return history;
  }

  /** Writes a line to the disk. */
  #append(k: number, state: FaceState, step: Step): void {
    if (this.#closed) throw new RangeError("Cannot change a face in a journal that was closed");
    if (!this.#isOurs()) {
      throw new InputError(`Cannot write ${this.#path}: its folder was made anew or its file was replaced`, {
        code: "disk",
        hint: "start deno task correct again",
      });
    }
    const bytes = new TextEncoder().encode(formatCorrection({ ...this.#line(k, state), step }));
    const { size } = this.#file.statSync();
    try {
      for (let done = 0; done < bytes.length;) done += this.#file.writeSync(bytes.subarray(done));
      this.#file.syncDataSync();
    } catch (error) {
      this.#file.truncateSync(size); // the disk is full: half a line would spoil the next one
      throw writeError(error, this.#path);
    }
  }

  #line(k: number, { landmarks, occluded, pinned, verdict }: FaceState): Correction {
    const { file_name, face, added } = this.#faces[k]!, original = this.original(k);
    return {
      file_name,
      face,
      was: added ? [] : original.landmarks,
      ...(original.occluded.length && { was_occluded: original.occluded }),
      landmarks,
      ...(occluded.length && { occluded }),
      ...(pinned.length && { pinned }),
      ...(verdict && { verdict }),
    };
  }

  /** True if the file at the path is the one that is open. */
  #isOurs(): boolean {
    if (!exists(this.#path)) return false;
    const mine = this.#file.statSync(), there = Deno.statSync(this.#path);
    return mine.ino === there.ino && mine.dev === there.dev;
  }

  /** Ends the corrections: the file has a line for each face that was changed; without any it is removed. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#isOurs()) {
      const lines = [
        ...this.#others,
        ...this.#histories.flatMap(({ states, at }, k) =>
          isSame(states[at]!, states[0]!) || this.isAbsent(k) ? [] : [this.#line(k, states[at]!)]
        ),
      ];
      if (lines.length) writeAtomic(this.#path, lines.map(formatCorrection).join(""));
      else removeIfExists(this.#path);
    }
    this.#file.close();
  }

  /** As {@linkcode Journal.close}: for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** The state of a face before any correction; one that was added was not there. */
function originalState({ landmarks, occluded = [], added }: SourceFace): FaceState {
  return { landmarks: pointsOf(landmarks), occluded, pinned: [], verdict: added ? "rejected" : null };
}

function historyOf(face: SourceFace): History {
  return { states: [originalState(face)], at: 0, revision: 0 };
}

function fits(correction: Correction, { landmarks, added }: SourceFace): boolean {
  return added
    ? isAdded(correction) && 2 * correction.landmarks.length === landmarks.length
    : isOfFace(correction, landmarks);
}

const flat = (landmarks: FaceState["landmarks"]) => Float32Array.from(landmarks.flat());

function replay(history: History, { landmarks, occluded = [], pinned = [], verdict, step }: Correction): void {
  const { states } = history;
  if (step === "undo" && history.at > 0) history.at--;
  else if (step === "redo" && history.at + 1 < states.length) history.at++;
  else {
    states.splice(history.at + 1, Infinity, { landmarks, occluded, pinned, verdict: verdict ?? null });
    history.at = states.length - 1;
  }
}

function isSame(a: FaceState, b: FaceState): boolean {
  return JSON.stringify([a.landmarks, a.occluded, a.pinned, a.verdict]) ===
    JSON.stringify([b.landmarks, b.occluded, b.pinned, b.verdict]);
}

function attempt<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw writeError(error, path);
  }
}

/**
 * Sets the corrections of a folder aside, so that its faces are as they were.
 *
 * @returns Path of the file that has them now, and the number of faces; undefined if there are none.
 * @throws {InputError} If a process corrects the folder.
 */
export function setAside(dir: string): { readonly path: string; readonly faces: number } | undefined {
  const path = `${dir}/${CORRECTIONS}`;
  if (!exists(path)) return undefined;
  {
    using file = Deno.openSync(path);
    if (!file.tryLockSync(true)) {
      throw new InputError(`Cannot undo the corrections of ${dir}: a process corrects it`, { hint: "stop it first" });
    }
  }
  const text = readTextIfExists(path) ?? "";
  const faces = new Set(
    text.split("\n").flatMap((line) => {
      try {
        return [faceKey(JSON.parse(line) as Correction)];
      } catch {
        return []; // a damaged line is set aside with the others
      }
    }),
  ).size;
  if (text === "") {
    removeIfExists(path);
    return undefined;
  }
  let n = 1;
  while (exists(`${path}.undone${n}`)) n++;
  attempt(path, () => Deno.renameSync(path, `${path}.undone${n}`));
  return { path: `${path}.undone${n}`, faces };
}

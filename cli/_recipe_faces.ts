/**
 * Rendered faces beside which styles and edits are written.
 *
 * @module
 */
import { DEFAULT_POSE, HeadSketch, type RenderedFace, samplePerson, sampleShot } from "../faces/render/render.ts";
import { parseStyle, type StyleRender } from "../faces/render/styles.ts";
import { Random } from "../engine/rng.ts";

/** Most pictures and most heads in the caches; another style of a head in the cache is drawn faster. */
const MOST_KEPT = 64, MOST_SKETCHES = 8;
/** Style in which edits are seen. */
const PHOTO = parseStyle("style: photo\ndoc: A photograph.\nrender: { lens: { photo: 1 } }\n", "photo.yaml").render;

/** Draws faces, one after the other. */
export class RecipeFaces implements AsyncDisposable {
  readonly #persons = new Random(0, "faces/render.people.train");
  readonly #shots = new Random(0, "faces/render.shots");
  readonly #kept = new Map<string, Promise<RenderedFace>>();
  readonly #sketches = new Map<string, HeadSketch>();
  #last: Promise<unknown> = Promise.resolve();

  /** Takes the device that draws. */
  constructor(private readonly gpu: GPUDevice) {}

  /**
   * Draws a person in a style.
   *
   * @param render Recipe of the style; by default that of a photograph.
   * @param person Number of the person, from 0; the same number is the same person in the same pose.
   * @param size_px Side of the picture.
   */
  draw(render: StyleRender = PHOTO, person: number, size_px: number): Promise<RenderedFace> {
    const key = JSON.stringify([render, person, size_px]);
    let face = this.#kept.get(key);
    if (!face) {
      face = this.#last.then(() => this.#sketch(person, size_px).draw(render));
      this.#last = face.catch(() => {});
      const [oldest] = this.#kept.keys();
      if (this.#kept.size >= MOST_KEPT) this.#kept.delete(oldest!);
      this.#kept.set(key, face);
    }
    return face;
  }

  /** The head of a person; the cache drops the least recently used one. */
  #sketch(person: number, size_px: number): HeadSketch {
    const key = `${person} ${size_px}`;
    let sketch = this.#sketches.get(key);
    this.#sketches.delete(key);
    if (!sketch) {
      const head = {
        person: samplePerson(this.#persons.at(person)),
        shot: sampleShot(this.#shots.at(person), DEFAULT_POSE),
      };
      sketch = new HeadSketch(this.gpu, head, size_px);
      const [oldest] = this.#sketches;
      if (oldest && this.#sketches.size >= MOST_SKETCHES) {
        oldest[1][Symbol.dispose]();
        this.#sketches.delete(oldest[0]);
      }
    }
    this.#sketches.set(key, sketch);
    return sketch;
  }

  /** Waits for the face that is drawn now, and frees what is kept. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    for (const sketch of this.#sketches.values()) sketch[Symbol.dispose]();
    this.#sketches.clear();
  }
}

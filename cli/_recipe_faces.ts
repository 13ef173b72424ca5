/**
 * Rendered faces beside which styles and edits are written.
 *
 * @module
 */
import {
  DEFAULT_POSE,
  type HeadParams,
  type RenderedFace,
  renderFaces,
  samplePerson,
  sampleShot,
} from "../faces/render/render.ts";
import { parseStyle, type StyleRender } from "../faces/render/styles.ts";
import { Random } from "../engine/rng.ts";

/** Faces that are kept. */
const MOST_KEPT = 64;
/** Style in which edits are seen. */
const PHOTO = parseStyle("style: photo\ndoc: A photograph.\nrender: { lens: { photo: 1 } }\n", "photo.yaml").render;

/** Draws faces, one after the other. */
export class RecipeFaces {
  readonly #persons = new Random(0, "faces/render.people.train");
  readonly #shots = new Random(0, "faces/render.shots");
  readonly #kept = new Map<string, Promise<RenderedFace>>();
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
      face = this.#last.then(async () => (await renderFaces(this.gpu, [this.#head(person)], render, size_px))[0]!);
      this.#last = face.catch(() => {});
      const [oldest] = this.#kept.keys();
      if (this.#kept.size >= MOST_KEPT) this.#kept.delete(oldest!);
      this.#kept.set(key, face);
    }
    return face;
  }

  /** Waits for the face that is drawn now. */
  async finished(): Promise<void> {
    await this.#last;
  }

  #head(person: number): HeadParams {
    return { person: samplePerson(this.#persons.at(person)), shot: sampleShot(this.#shots.at(person), DEFAULT_POSE) };
  }
}

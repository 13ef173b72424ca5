/**
 * Random numbers that are a function of (seed, stream, step, index): Philox 4x32-10.
 *
 * One block of four 32-bit words is `philox4x32(counter, key)` with
 *
 *     key     = streamKey(seed, stream)                         [k0, k1]
 *     counter = [index, step mod 2^32, floor(step / 2^32), 0]
 *
 * Word `n` of a step is word `n mod 4` of block `index = floor(n / 4)`. A uniform takes the top 24 bits of its word,
 * `(w >>> 8) / 2^24`, which f32 holds exactly: a shader that follows these two rules draws the same uniforms, and the
 * same normals but for the rounding of its `log`, `cos` and `sin`. Element `i` of `fillUniform` and `fillNormal`
 * is made from block `floor(i / 4)` past the block they start at, so one invocation fills four elements.
 *
 * Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"; constants and known answers of Random123.
 *
 * @module
 */

/** A source of random numbers: a {@linkcode Random}, or anything like it. */
export interface RandomSource {
  /** From 0 up to but not including 1. */
  uniform(): number;
  /** Of mean 0 and standard deviation 1. */
  normal(): number;
  /** A whole number from 0 up to but not including n. */
  int(n: number): number;
}

/** 2^-24: the spacing of uniforms. */
const UNIT = 2 ** -24;

/** High 32 bits of the product of two unsigned 32-bit integers. */
function mulHigh(a: number, b: number): number {
  const aLow = a & 0xffff, aHigh = a >>> 16, bLow = b & 0xffff, bHigh = b >>> 16;
  // No sum here reaches 2^32, so the shifts lose nothing.
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle & 0xffff);
  return aHigh * bHigh + (middle >>> 16) + (carry >>> 16);
}

/**
 * Draws one block of Philox 4x32 with 10 rounds.
 *
 * @param counter Four unsigned 32-bit words.
 * @param key Two unsigned 32-bit words.
 * @param out Receives the four words; by default a new array.
 * @returns `out`.
 */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
  out: Uint32Array = new Uint32Array(4),
): Uint32Array {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = mulHigh(0xd2511f53, c0), low0 = Math.imul(0xd2511f53, c0);
    const high1 = mulHigh(0xcd9e8d57, c2), low1 = Math.imul(0xcd9e8d57, c2);
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1 >>> 0;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0 >>> 0;
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
  return out;
}

/**
 * The Philox key of a named stream.
 *
 * `philox4x32([h mod 2^32, h / 2^32, 0, 0], seed)[0..1]`, where h is the 64-bit FNV-1a hash of the name in UTF-8.
 *
 * @param seed Integer from 0 to 2^64 - 1.
 * @param stream Name of the stream, not empty: `"diffusion/train.noise"`.
 * @returns Two unsigned 32-bit words.
 * @throws {RangeError} If the seed is not such an integer or the name is empty.
 */
export function streamKey(seed: number | bigint, stream: string): [number, number] {
  if (typeof seed === "number" && !Number.isSafeInteger(seed) || seed < 0 || seed >= 2n ** 64n) {
    throw new RangeError(`Cannot use seed as it must be an integer from 0 to 2^64 - 1: current value is ${seed}`);
  }
  if (stream === "") throw new RangeError("Cannot make a random stream as its name is empty");
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(stream)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  const words = (value: bigint): [number, number] => [Number(value & 0xffffffffn), Number(value >> 32n)];
  const [k0, k1] = philox4x32([...words(hash), 0, 0], words(BigInt(seed)));
  return [k0!, k1!];
}

/** Position of a {@link Random} in its stream, as plain JSON. */
export interface RandomState {
  /** The seed in decimal, as JSON numbers do not hold 64 bits. */
  seed: string;
  /** Name of the stream. */
  stream: string;
  /** The step it draws for. */
  step: number;
  /** Words of that step already drawn. */
  word: number;
}

/**
 * A named stream of random numbers, the same on every platform.
 *
 * Draws within a step follow each other; {@link Random.at} goes to the start of any step without drawing what lies
 * between, so a resumed training needs to know its step and nothing else.
 *
 * @example
 * ```ts
 * import { Random } from "./rng.ts";
 *
 * const noise = new Random(7, "diffusion/train.noise");
 * const epsilon = noise.at(1200).fillNormal(new Float32Array(64));
 * ```
 */
export class Random {
  /** The seed, 64 bits. */
  readonly seed: bigint;
  /** Name of the stream. */
  readonly stream: string;
  /** The step that draws are for. */
  readonly step: number;
  readonly #key: [number, number];
  /** Words drawn so far. */
  #word = 0;
  /** The words of block #index. */
  readonly #block = new Uint32Array(4);
  #index = -1;

  /**
   * Opens a stream at the start of a step.
   *
   * @param seed Integer from 0 to 2^64 - 1.
   * @param stream Name of the stream; streams of other names are independent of it.
   * @param step Integer from 0 to 2^53 - 1.
   * @throws {RangeError} If the seed or the step is no such integer, or the name is empty.
   */
  constructor(seed: number | bigint, stream: string, step = 0) {
    if (!Number.isSafeInteger(step) || step < 0) {
      throw new RangeError(
        `Cannot place stream "${stream}" at step ${step} as it must be an integer from 0 to 2^53 - 1`,
      );
    }
    this.#key = streamKey(seed, stream);
    this.seed = BigInt(seed);
    this.stream = stream;
    this.step = step;
  }

  /** A stream that goes on where another one stood when it gave this {@link Random.state}. */
  static restore(state: RandomState): Random {
    const random = new Random(BigInt(state.seed), state.stream, state.step);
    random.#word = state.word;
    return random;
  }

  /** Position of the stream, for {@link Random.restore}. */
  state(): RandomState {
    return { seed: String(this.seed), stream: this.stream, step: this.step, word: this.#word };
  }

  /** The same stream at the start of a step, as a new object. */
  at(step: number): Random {
    return new Random(this.seed, this.stream, step);
  }

  /** The next 32-bit word, as an unsigned integer. */
  word(): number {
    const index = Math.floor(this.#word / 4);
    if (index !== this.#index) this.#draw(index);
    return this.#block[this.#word++ % 4]!;
  }

  /** A number from [0, 1), a multiple of 2^-24. Takes one word. */
  uniform(): number {
    return (this.word() >>> 8) * UNIT;
  }

  /**
   * A number from the standard normal distribution. Takes two words.
   *
   * `sqrt(-2 log(1 - u0)) cos(2 pi u1)` (Box & Muller 1958); at most 5.77 in size.
   */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /**
   * An integer from [0, n), each equally likely. Takes one word, rarely more.
   *
   * Source: Lemire 2019, "Fast random integer generation in an interval", algorithm 5.
   *
   * @throws {RangeError} If n is no integer from 1 to 2^32 - 1.
   */
  int(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > 0xffffffff) {
      throw new RangeError(`Cannot draw an integer below ${n} from "${this.stream}": it must be from 1 to 2^32 - 1`);
    }
    const unfair = 2 ** 32 % n;
    for (;;) {
      const word = this.word();
      if (Math.imul(word, n) >>> 0 >= unfair) return mulHigh(word, n);
    }
  }

  /** Puts the elements in random order, in place (Fisher & Yates), and returns the array. */
  shuffle<T extends unknown[] | Int32Array | Uint32Array | Float32Array>(array: T): T {
    for (let i = array.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      [array[i], array[j]] = [array[j], array[i]];
    }
    return array;
  }

  /** Fills an array with uniforms, one word an element, from the next whole block on; returns the array. */
  fillUniform(out: Float32Array): Float32Array {
    const first = this.#wholeBlocks(out.length);
    for (let i = 0; i < out.length; i++) {
      if (i % 4 === 0) this.#draw(first + i / 4);
      out[i] = (this.#block[i % 4]! >>> 8) * UNIT;
    }
    return out;
  }

  /**
   * Fills an array with normals, one word an element, from the next whole block on; returns the array.
   *
   * Elements 2 j and 2 j + 1 are `r cos a` and `r sin a` of the uniforms u0, u1 of words 2 j and 2 j + 1, with
   * `r = sqrt(-2 log(1 - u0))` and `a = 2 pi u1`.
   */
  fillNormal(out: Float32Array): Float32Array {
    const first = this.#wholeBlocks(out.length);
    for (let i = 0; i < out.length; i += 2) {
      if (i % 4 === 0) this.#draw(first + i / 4);
      const radius = Math.sqrt(-2 * Math.log(1 - (this.#block[i % 4]! >>> 8) * UNIT));
      const angle = 2 * Math.PI * (this.#block[i % 4 + 1]! >>> 8) * UNIT;
      out[i] = radius * Math.cos(angle);
      // Past the end of an odd length, which typed arrays ignore.
      out[i + 1] = radius * Math.sin(angle);
    }
    return out;
  }

  /** Takes the blocks for n words and returns the index of the first. */
  #wholeBlocks(n: number): number {
    const first = Math.ceil(this.#word / 4);
    this.#word = 4 * (first + Math.ceil(n / 4));
    return first;
  }

  #draw(index: number): void {
    if (index >= 2 ** 32) {
      throw new RangeError(`Cannot draw more than 2^34 words from "${this.stream}" in one step, hint: use more steps`);
    }
    philox4x32([index, this.step >>> 0, Math.floor(this.step / 2 ** 32), 0], this.#key, this.#block);
    this.#index = index;
  }
}

/** Decoder and encoder of JPEG. */
export declare const jpeg: WebAssembly.Module;
/** Decoder and encoder of PNG. */
export declare const png: WebAssembly.Module;
/** Decoder of GIF. */
export declare const gif: WebAssembly.Module;

/** Decoder of WebP. */
export interface WebpDecoder {
  /** Memory of the instance. */
  readonly HEAPU8: Uint8Array;
  /** Decodes a still image to RGBA; null if it is damaged. */
  decode(
    bytes: Uint8Array,
  ): { readonly width: number; readonly height: number; readonly data: Uint8ClampedArray } | null;
}

/** Makes a decoder of WebP. */
export declare function instantiateWebp(): WebpDecoder;

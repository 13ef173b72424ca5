/** Decoder and encoder of JPEG. */
export declare const jpeg: WebAssembly.Module;
/** Decoder and encoder of PNG. */
export declare const png: WebAssembly.Module;

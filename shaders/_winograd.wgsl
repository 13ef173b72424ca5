// Tiles of 4 x 4 results of a 3x3 convolution, as ops/_winograd.ts lays them out: a block of tiles after the other, of each
// its 36 places, of each the block's tiles.
// in u: TH, TW, tiles in the height and width of a map; stride, texels from a place to the next
// source: arXiv 1509.09308; matrices in ops/_winograd.ts
const A = 0.7071067811865476;
const B = 1.4142135623730951;

// Sample, first row and column of a tile; texel of channels; address of its first place.
struct Tile { n: i32, row: i32, column: i32, c: i32, at: i32 }

fn tile_of(t: i32, channels4: i32) -> Tile {
  let tile = t / channels4;
  let c = t - tile * channels4;
  let block = tile / $(BLOCK);
  let line = tile / u.TW;
  let n = line / u.TH;
  let at = block * 36 * u.stride + (tile - $(BLOCK) * block) * channels4 + c;
  return Tile(n, 4 * (line - n * u.TH), 4 * (tile - line * u.TW), c, at);
}

// Parameters of the heads, by the constants of faces/render/texels.ts, and noise. All passes of the renderer follow it.
// in params: texture [PARAM_TEXELS, faces]
@group(0) @binding(0) var params: texture_storage_2d<rgba32float, read>;

var<private> face: i32;
var<private> seed: f32;

fn texel(i: i32) -> vec4f { return textureLoad(params, vec2i(i, face)); }

fn hash(a: i32, b: i32, c: i32) -> f32 {
  var h = (bitcast<u32>(a) * 0x9E3779B1u) ^ (bitcast<u32>(b) * 0x85EBCA77u) ^ (bitcast<u32>(c) * 0xC2B2AE3Du);
  h = (h ^ (h >> 15u)) * 0x2C1B3C6Du;
  h = (h ^ (h >> 12u)) * 0x297A2D39u;
  return f32((h ^ (h >> 15u)) >> 8u) / 16777216.0;
}
// Value noise in [-1, 1].
fn noise(p: vec2f, salt: f32) -> f32 {
  let f = floor(p);
  let t = (p - f) * (p - f) * (3.0 - 2.0 * (p - f));
  let x = i32(f.x); let y = i32(f.y); let s = i32(salt + seed);
  let top = mix(hash(x, y, s), hash(x + 1, y, s), t.x);
  return mix(top, mix(hash(x, y + 1, s), hash(x + 1, y + 1, s), t.x), t.y) * 2.0 - 1.0;
}
fn fbm(p: vec2f, salt: f32) -> f32 {
  return noise(p, salt) * 0.55 + noise(p * 2.03, salt + 17.0) * 0.3 + noise(p * 4.1, salt + 31.0) * 0.15;
}

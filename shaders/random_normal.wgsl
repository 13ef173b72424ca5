// random_normal.  y = sqrt(-2 log(1 - u0)) (cos, sin)(2 pi u1), words 2 j and 2 j + 1 for elements 2 j and 2 j + 1
// in step: [4]   out y: any shape
// grid: one invocation per texel, see _philox.wgsl
// source: Box & Muller 1958; the logarithm: Moshier, Cephes, single/logf.c
// -log(x) for x in [2^-24, 1]: WGSL's own may be off by 5e-7, which is all there is near 1.
fn minus_log(x: f32) -> f32 {
  let bits = bitcast<i32>(x);
  var e = ((bits >> 23u) & 255) - 126;
  var m = bitcast<f32>((bits & 0x007fffff) | 0x3f000000);
  if (m < 0.70710678) {
    e -= 1;
    m *= 2.0;
  }
  m -= 1.0;
  let z = m * m;
  let p = ((((((((7.0376836292e-2 * m - 1.1514610310e-1) * m + 1.1676998740e-1) * m - 1.2420140846e-1) * m
    + 1.4249322787e-1) * m - 1.6668057665e-1) * m + 2.0000714765e-1) * m - 2.4999993993e-1) * m + 3.3333331174e-1) * m * z;
  let f = f32(e);
  return -((m + (p - 2.12194440e-4 * f - 0.5 * z)) + 0.693359375 * f);
}

fn pair(a: f32, b: f32) -> vec2f {
  let k = round(4.0 * b);
  return sqrt(2.0 * minus_log(1.0 - a)) * sin_cos(i32(k), (4.0 * b - k) * 1.57079633).yx;
}

fn block(index: i32) -> vec4f {
  let v = uniforms(index);
  return vec4f(pair(v.x, v.y), pair(v.z, v.w));
}

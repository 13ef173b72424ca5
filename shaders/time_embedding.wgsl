// time_embedding.  y[n, i] = cos(t[n] f[i]), y[n, half + i] = sin(t[n] f[i]); the other way round without flip
// in t: [N]   in f: [half]   out y: [N, 2 half]
// grid: one invocation per output texel
// source: arXiv 1706.03762, section 3.5; the range reduction: Moshier, Cephes, single/sinf.c
fn element(n: i32, e: i32) -> f32 {
  let second = i32(e >= u.half);
  let i = e - second * u.half;
  let product = ld_t(n / 4)[n % 4] * ld_f(i / 4)[i % 4];
  // PyTorch rounds the angle to f32, which matters at 999 rad; the mask (all ones) keeps drivers from fusing it with
  // the subtraction below into an unrounded one.
  let angle = bitcast<f32>(bitcast<i32>(product) & u.mask);
  let k = round(angle * 0.63661977);
  let r = ((angle - k * 1.5703125) - k * 4.837512969970703125e-4) - k * 7.54978995489188216e-8;
  return sin_cos(i32(k), r)[(1 - second) ^ (1 - u.flip)];
}

@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let n = t / u.D4;
  let e = 4 * (t - n * u.D4);
  st_y(t, vec4f(element(n, e), element(n, e + 1), element(n, e + 2), element(n, e + 3)));
}

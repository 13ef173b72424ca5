// repack.  y = x under a shape of another innermost dimension, so that elements move between texels
// in x: [R, C]   out y: [S, D], R C = S D
// grid: one invocation per output texel
fn element(k: i32) -> f32 {
  let row = k / u.C;
  let c = k - row * u.C;
  return ld_x(row * u.C4 + (c >> 2u))[c & 3];
}

@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let row = t / u.D4;
  let d = (t - row * u.D4) * 4;
  var v = vec4f();
  for (var lane = 0; lane < 4; lane++) {
    if (d + lane < u.D) { v[lane] = element(row * u.D + d + lane); }
  }
  st_y(t, v);
}

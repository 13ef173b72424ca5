// normalize_sums.  a[n, s, c] = sum of dy, b[n, s, c] = sum of dy (x - mean), over the s-th chunk of rows
// in dy, x: [N, R, C]   in mean: [N, 1, C]   out a, b: [N, S, C]; c counts texels
// grid: one invocation per output texel
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let row = quotient(t, u.C4);
  let c = t - row * u.C4;
  let n = quotient(row, u.S);
  let first = (row - n * u.S) * u.step;
  let count = min(u.step, u.R - first);
  let mean = ld_mean(n * u.C4 + c);
  var i = (n * u.R + first) * u.C4 + c;
  var a = vec4f();
  var b = vec4f();
  for (var k = 0; k < count; k++) {
    let dy = ld_dy(i);
    a += dy;
    b += dy * (ld_x(i) - mean);
    i += u.C4;
  }
  st_a(t, a);
  st_b(t, b);
}

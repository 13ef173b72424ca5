// max_middle.  y[a, s, c] = max over the s-th part of b of x[a, b, c]
// in x: [A, B, C]   out y: [A, S, C]; c counts texels
// grid: one invocation per output texel
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let c = remainder(t, u.C4);
  let row = quotient(t, u.C4);
  var i = (quotient(row, u.S) * u.B + remainder(row, u.S) * u.step) * u.C4 + c;
  var best = ld_x(i);
  for (var b = 1; b < u.step; b++) {
    i += u.C4;
    best = max(best, ld_x(i));
  }
  st_y(t, best);
}

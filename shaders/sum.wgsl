// sum.  y[a, s, c] = sum over the s-th part of b of x[a, b, c]
// in x: [A, B, C]   out y: [A, S, C]; c counts texels
// grid: one invocation per output texel; serial partial sums, as workgroup trees are slow on software drivers
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let c = remainder(t, u.C4);
  let row = quotient(t, u.C4);
  let part = remainder(row, u.S);
  let a = quotient(row, u.S);
  let first = part * u.step;
  let last = min(first + u.step, u.B);
  var i = (a * u.B + first) * u.C4 + c;
  var total = vec4f();
  for (var b = first; b < last; b++) {
    total += ld_x(i);
    i += u.C4;
  }
  st_y(t, total);
}

// permute.  y[i0, i1, i2, i3, i4] = x at element i0 s0 + i1 s1 + i2 s2 + i3 s3 + i4 s4, padding lanes counted
// in x: up to 5 dimensions   out y: [n0, n1, n2, n3, last]
// blocks: the innermost dimension stays; lanes: it moves, so a texel is gathered from four
// grid: one invocation per output texel
fn origin(t: i32) -> i32 {
  var rest = quotient(t, u.last4);
  let i3 = remainder(rest, u.n3);
  rest = quotient(rest, u.n3);
  let i2 = remainder(rest, u.n2);
  rest = quotient(rest, u.n2);
  return quotient(rest, u.n1) * u.s0 + remainder(rest, u.n1) * u.s1 + i2 * u.s2 + i3 * u.s3 + 4 * remainder(t, u.last4) * u.s4;
}

@compute @workgroup_size(WG)
fn blocks(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  st_y(t, ld_x(origin(t) >> 2u));
}

@compute @workgroup_size(WG)
fn lanes(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let e = origin(t);
  let i4 = 4 * remainder(t, u.last4);
  var v = vec4f();
  for (var lane = 0; lane < 4; lane++) {
    if (i4 + lane < u.last) {
      let at = e + lane * u.s4;
      v[lane] = ld_x(at >> 2u)[at & 3];
    }
  }
  st_y(t, v);
}

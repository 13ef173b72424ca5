// slice.  y[o, k] = x[o, k + start], zero outside x
// in x: [O, 4 A]   out y: [O, 4 B]; start counts elements
// grid: one invocation per output texel
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let row = quotient(t, u.B) * u.A;
  let first = 4 * remainder(t, u.B) + u.start;
  let k = first >> 2u; // rounds down, also below zero
  let a = ldz_x(select(-1, row + k, k >= 0 && k < u.A));
  let b = ldz_x(select(-1, row + k + 1, k + 1 >= 0 && k + 1 < u.A));
  var v = a;
  switch (first & 3) {
    case 1: { v = vec4f(a.yzw, b.x); }
    case 2: { v = vec4f(a.zw, b.xy); }
    case 3: { v = vec4f(a.w, b.xyz); }
    default: {}
  }
  st_y(t, v);
}

// concat.  y[o, k, i] = a[o, k, i] for k < A, else b[o, k - A, i]
// in a: [O, A, inner]   in b: [O, B, inner]   out y: [O, A + B, inner]
// blocks: inner counts texels; shifted: along the innermost dimension where A is no multiple of four; A counts
// elements, A4, B and inner the texels of a row of a, b and y
// grid: one invocation per output texel
@compute @workgroup_size(WG)
fn blocks(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let i = remainder(t, u.inner);
  let row = quotient(t, u.inner);
  let k = remainder(row, u.A + u.B);
  let o = quotient(row, u.A + u.B);
  var v: vec4f;
  if (k < u.A) { v = ld_a((o * u.A + k) * u.inner + i); } else { v = ld_b((o * u.B + k - u.A) * u.inner + i); }
  st_y(t, v);
}

@compute @workgroup_size(WG)
fn shifted(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let row = quotient(t, u.inner);
  let j = remainder(t, u.inner);
  // Padding lanes are zero, so the two may be added where they meet in a texel.
  let a = ldz_a(select(-1, row * u.A4 + j, j < u.A4));
  let first = 4 * j - u.A;
  let k = first >> 2u; // rounds down, also below zero
  let b = ldz_b(select(-1, row * u.B + k, k >= 0 && k < u.B));
  let c = ldz_b(select(-1, row * u.B + k + 1, k + 1 >= 0 && k + 1 < u.B));
  var v = b;
  switch (first & 3) {
    case 1: { v = vec4f(b.yzw, c.x); }
    case 2: { v = vec4f(b.zw, c.xy); }
    case 3: { v = vec4f(b.w, c.xyz); }
    default: {}
  }
  st_y(t, a + v);
}

// upsample_nearest.  y[n, h, w] = x[n, floor(h H / HO), floor(w W / WO)]
// in x: [N, H, W, C]   out y: [N, HO, WO, C]
// grid: one invocation per output texel
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let p = pixel(t, u.HO, u.WO, u.C4);
  st_y(t, ld_x(((p.n * u.H + quotient(p.h * u.H, u.HO)) * u.W + quotient(p.w * u.W, u.WO)) * u.C4 + p.c));
}

// D times as high and as wide: one invocation per texel of x writes all of its pixels.
@compute @workgroup_size(WG)
fn whole(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let rest = quotient(t, u.C4);
  let row = quotient(rest, u.W); // n and h at once
  let y0 = (row * $(D) * u.WO + remainder(rest, u.W) * $(D)) * u.C4 + remainder(t, u.C4);
  let v = ld_x(t);
  //@ for i in D
  //@ for j in D
  st_y(y0 + ($i * u.WO + $j) * u.C4, v);
  //@ end
  //@ end
}

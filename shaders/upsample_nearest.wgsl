// upsample_nearest.  y[n, h, w] = x[n, floor(h H / HO), floor(w W / WO)]
// in x: [N, H, W, C]   out y: [N, HO, WO, C]
// grid: one invocation per output texel
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let c = remainder(t, u.C4);
  var rest = quotient(t, u.C4);
  let w = remainder(rest, u.WO);
  rest = quotient(rest, u.WO);
  let h = remainder(rest, u.HO);
  let n = quotient(rest, u.HO);
  st_y(t, ld_x(((n * u.H + quotient(h * u.H, u.HO)) * u.W + quotient(w * u.W, u.WO)) * u.C4 + c));
}

// upsample_bilinear.  y[n, h, w] = bilinear interpolation of x[n] at (h h_step + h_offset, w w_step + w_offset)
// in x: [N, H, W, C]   out y: [N, HO, WO, C]
// grid: one invocation per output texel
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let p = pixel(t, u.HO, u.WO, u.C4);
  let y = max(0.0, f32(p.h) * u.h_step + u.h_offset);
  let x = max(0.0, f32(p.w) * u.w_step + u.w_offset);
  let top = min(i32(y), u.H - 1);
  let left = min(i32(x), u.W - 1);
  let right = min(left + 1, u.W - 1);
  let a = (p.n * u.H + top) * u.W;
  let b = (p.n * u.H + min(top + 1, u.H - 1)) * u.W;
  let s = x - f32(left);
  let upper = mix(ld_x((a + left) * u.C4 + p.c), ld_x((a + right) * u.C4 + p.c), s);
  let lower = mix(ld_x((b + left) * u.C4 + p.c), ld_x((b + right) * u.C4 + p.c), s);
  st_y(t, mix(upper, lower, y - f32(top)));
}

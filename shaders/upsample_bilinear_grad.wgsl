// upsample_bilinear_grad.  dx[n, h, w] = sum over i, j of dy[n, i, j] weight(i, h) weight(j, w)
// in dy: [N, HO, WO, C]   out dx: [N, H, W, C]; weight(i, h) is the share of source pixel h in output pixel i
// grid: one invocation per output texel; it visits the output pixels that can have been made from its own
fn weight(i: i32, h: i32, step: f32, offset: f32, size: i32) -> f32 {
  let at = max(0.0, f32(i) * step + offset);
  let low = min(i32(at), size - 1);
  let s = at - f32(low);
  return select(0.0, 1.0 - s, low == h) + select(0.0, s, min(low + 1, size - 1) == h);
}

// Output pixels whose source position can be within one pixel of h; the borders also gather what lies outside.
fn range(h: i32, step: f32, offset: f32, size: i32, count: i32) -> vec2i {
  if (step == 0.0) { return vec2i(0, count); }
  let first = select(0, max(0, i32(floor((f32(h) - 1.0 - offset) / step))), h > 0);
  let last = select(count, min(count, i32(ceil((f32(h) + 1.0 - offset) / step)) + 1), h < size - 1);
  return vec2i(first, last);
}

@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let p = pixel(t, u.H, u.W, u.C4);
  let rows = range(p.h, u.h_step, u.h_offset, u.H, u.HO);
  let columns = range(p.w, u.w_step, u.w_offset, u.W, u.WO);
  var total = vec4f();
  for (var i = rows.x; i < rows.y; i++) {
    let v = weight(i, p.h, u.h_step, u.h_offset, u.H);
    let row = (p.n * u.HO + i) * u.WO;
    for (var j = columns.x; j < columns.y; j++) {
      total += v * weight(j, p.w, u.w_step, u.w_offset, u.W) * ld_dy((row + j) * u.C4 + p.c);
    }
  }
  st_dx(t, total);
}

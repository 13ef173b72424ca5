// eigen_2x2_grad.  dm = dhigh v v^T + dlow w w^T + dangle / (high - low) (-cs, cs, c^2 - s^2), v = (c, s), w = (-s, c)
// in y: [R, 4] (low, high, c, s)   in dy: [R, 4]   out dm: [R, 3] (xx, yy, xy)
// grid: one invocation per matrix
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let y = ld_y(t);
  let dy = ld_dy(t);
  let cc = y.z * y.z;
  let ss = y.w * y.w;
  let cs = y.z * y.w;
  let turn = select(0.0, (y.z * dy.w - y.w * dy.z) / (y.y - y.x), y.y > y.x);
  st_dm(t, vec4f(
    dy.y * cc + dy.x * ss - turn * cs,
    dy.y * ss + dy.x * cc + turn * cs,
    2.0 * (dy.y - dy.x) * cs + turn * (cc - ss),
    0.0,
  ));
}

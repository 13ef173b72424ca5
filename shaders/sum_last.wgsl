// sum_last.  y[r] = sum over c of x[r, c]
// in x: [R, C]   out y: [R, 1]
// grid: one invocation per row
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  var total = vec4f();
  for (var c = 0; c < u.C4 - 1; c++) { total += ld_x(t * u.C4 + c); }
  // The padding lanes of a fused expression are not zero.
  total += select(vec4f(), ld_x(t * u.C4 + u.C4 - 1), vec4i(0, 1, 2, 3) < vec4i(u.C - 4 * (u.C4 - 1)));
  st_y(t, vec4f(total.x + total.y + total.z + total.w));
}

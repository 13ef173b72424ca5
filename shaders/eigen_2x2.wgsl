// eigen_2x2.  eigenvalues (low, high) and the eigenvector (cos, sin) of the larger of [[xx, xy], [xy, yy]]
// in m: [R, 3] (xx, yy, xy)   out y: [R, 4]
// grid: one invocation per matrix
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let m = ld_m(t);
  let centre = 0.5 * (m.x + m.y);
  let d = 0.5 * (m.x - m.y);
  let gap = sqrt(d * d + m.z * m.z);
  // Half the angle of (d, xy): the larger component by a root, the other by a quotient, so that neither loses digits.
  let large = sqrt(0.5 * (1.0 + abs(d) / max(gap, 1e-30)));
  let small = 0.5 * m.z / (max(gap, 1e-30) * large);
  var axis = vec2f(large, small);
  if (d < 0.0) { axis = select(vec2f(-small, -large), vec2f(small, large), m.z >= 0.0); }
  if (gap == 0.0) { axis = vec2f(1.0, 0.0); }
  st_y(t, vec4f(centre - gap, centre + gap, axis));
}

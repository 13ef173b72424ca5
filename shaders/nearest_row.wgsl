// nearest_row.  y[r] = the first v for which |x[r] - table[v]|^2 is least
// in table: [V, C]   in x: [M, L, C]   out y: [M, L] as f32
// grid: one invocation per output texel, which takes four rows of x through the whole table
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let m = t / u.L4;
  let l = 4 * (t - m * u.L4);
  // Lanes behind the end of a line repeat its last row.
  let at = (m * u.L + min(vec4i(l) + vec4i(0, 1, 2, 3), vec4i(u.L - 1))) * u.C4;
  var found = vec4i();
  var best = vec4f(3.4e38);
  for (var v = 0; v < u.V; v++) {
    var d = vec4f();
    for (var c = 0; c < u.C4; c++) {
      let e = ld_table(v * u.C4 + c);
      let d0 = ld_x(at.x + c) - e;
      let d1 = ld_x(at.y + c) - e;
      let d2 = ld_x(at.z + c) - e;
      let d3 = ld_x(at.w + c) - e;
      d += vec4f(dot(d0, d0), dot(d1, d1), dot(d2, d2), dot(d3, d3));
    }
    found = select(found, vec4i(v), d < best);
    best = min(best, d);
  }
  st_y(t, vec4f(found));
}

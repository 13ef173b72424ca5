// softmax.  y[r, t] = exp(s x[r, t] - m) / sum over t of exp(s x[r, t] - m), m the largest s x[r, t]
// in x: [R, T]   out y: [R, T], l: [R, 1], m plus the logarithm of the sum; causal: row r of L sees the first r mod L + 1 + T - L columns, the rest of y is zero
// grid: one invocation per row, three sweeps
// source: Milakov & Gimelshein 2018, arXiv 1805.02867, algorithm 2
fn row(i: i32, c: i32, columns: i32) -> vec4f {
  return select(vec4f(-3e38), ld_x(i + c) * u.s, 4 * c + vec4i(0, 1, 2, 3) < vec4i(columns));
}

@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let columns = select(u.T, t % u.L + 1 + u.T - u.L, u.causal != 0);
  let used = (columns + 3) / 4;
  let base = t * u.T4;
  var top = vec4f(-3e38);
  for (var c = 0; c < used; c++) { top = max(top, row(base, c, columns)); }
  let most = max(max(top.x, top.y), max(top.z, top.w));
  var sum = vec4f();
  for (var c = 0; c < used; c++) { sum += exp(row(base, c, columns) - most); }
  let total = dot(sum, vec4f(1.0));
  let factor = 1.0 / total;
  st_l(t, vec4f(most + log(total)));
  for (var c = 0; c < used; c++) { st_y(base + c, exp(row(base, c, columns) - most) * factor); }
  for (var c = used; c < u.T4; c++) { st_y(base + c, vec4f()); }
}

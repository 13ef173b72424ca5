// row_moments.  mean[r] and var[r] = mean of (x - mean)^2, over c of x[r, c]
// in x: [R, C]   out mean, var: [R, 1]
// grid: one invocation per row; two passes, as a row may hold an outlier far from the rest
fn lanes(c4: i32) -> vec4<bool> { return 4 * c4 + vec4i(0, 1, 2, 3) < vec4i(u.C); }

@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let base = t * u.C4;
  let origin = ld_x(base).x;
  var sum = vec4f();
  for (var c = 0; c < u.C4; c++) { sum += select(vec4f(), ld_x(base + c) - origin, lanes(c)); }
  let mean = origin + dot(sum, vec4f(1.0)) / f32(u.C);
  var squares = vec4f();
  for (var c = 0; c < u.C4; c++) {
    let d = select(vec4f(), ld_x(base + c) - mean, lanes(c));
    squares += d * d;
  }
  st_mean(t, vec4f(mean));
  st_var(t, vec4f(dot(squares, vec4f(1.0)) / f32(u.C)));
}

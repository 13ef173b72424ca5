// moments_parts.  mean[n, s, c] and m2[n, s, c] = sum of (x - mean)^2, over the s-th chunk of rows of x[n, r, c]
// in x: [N, R, C]   out mean, m2: [N, S, C]; c counts texels
// grid: one invocation per output texel
// One pass, shifted by the chunk's first value: the cancellation in m2 loses at most a factor of the chunk's length
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let row = quotient(t, u.C4);
  let c = t - row * u.C4;
  let n = quotient(row, u.S);
  let first = (row - n * u.S) * u.step;
  let count = min(u.step, u.R - first);
  var i = (n * u.R + first) * u.C4 + c;
  let origin = ld_x(i);
  var sum = vec4f();
  var squares = vec4f();
  for (var k = 1; k < count; k++) {
    i += u.C4;
    let d = ld_x(i) - origin;
    sum += d;
    squares += d * d;
  }
  let shift = sum / f32(count);
  st_mean(t, origin + shift);
  st_m2(t, max(squares - sum * shift, vec4f()));
}

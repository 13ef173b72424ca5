// moments.  mean and variance of each group of channels from those of chunks: mean = sum n_s mean_s / n,
// var = sum (m2_s + n_s (mean_s - mean)^2) / n
// in mean_s, m2_s: [N, S, C]   out mean, var: [N, 1, C], the same for all channels of a group of G
// grid: one invocation per output texel, which goes twice over the chunks of its groups
// source: Chan et al. 1979, "Updating formulae and a pairwise algorithm for computing sample variances"
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let n = quotient(t, u.C4);
  let c = 4 * (t - n * u.C4);
  let base = n * u.S * u.C4;
  var mean = vec4f();
  var variance = vec4f();
  var known = -1;
  for (var lane = 0; lane < 4; lane++) {
    let group = quotient(min(c + lane, u.C - 1), u.G);
    if (group == known) {
      mean[lane] = mean[lane - 1];
      variance[lane] = variance[lane - 1];
      continue;
    }
    known = group;
    let first = group * u.G;
    let last = first + u.G;
    let origin = ld_mean_s(base + first / 4)[first % 4];
    var shift = vec4f();
    for (var c4 = first / 4; 4 * c4 < last; c4++) {
      let inside = in_group(c4, first);
      for (var s = 0; s < u.S; s++) {
        let rows = f32(min(u.step, u.R - s * u.step));
        shift += rows * select(vec4f(), ld_mean_s(base + s * u.C4 + c4) - origin, inside);
      }
    }
    let center = origin + dot(shift, vec4f(1.0)) / u.count;
    var m2 = vec4f();
    for (var c4 = first / 4; 4 * c4 < last; c4++) {
      let inside = in_group(c4, first);
      for (var s = 0; s < u.S; s++) {
        let i = base + s * u.C4 + c4;
        let rows = f32(min(u.step, u.R - s * u.step));
        let d = ld_mean_s(i) - center;
        m2 += select(vec4f(), ld_m2_s(i) + rows * d * d, inside);
      }
    }
    mean[lane] = center;
    variance[lane] = dot(m2, vec4f(1.0)) / u.count;
  }
  st_mean(t, mean);
  st_var(t, variance);
}

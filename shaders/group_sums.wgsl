// group_sums.  p[n, c] = f sum of a[n, d], q[n, c] = g sum of b[n, d], over the channels d in the group of c
// in a, b: [N, C]   out p, q: [N, C]; groups of G channels
// grid: one invocation per output texel
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let n = quotient(t, u.C4);
  let c = 4 * (t - n * u.C4);
  var p = vec4f();
  var q = vec4f();
  var known = -1;
  for (var lane = 0; lane < 4; lane++) {
    let group = quotient(min(c + lane, u.C - 1), u.G);
    if (group == known) {
      p[lane] = p[lane - 1];
      q[lane] = q[lane - 1];
      continue;
    }
    known = group;
    let first = group * u.G;
    let last = first + u.G;
    var a = vec4f();
    var b = vec4f();
    for (var c4 = first / 4; 4 * c4 < last; c4++) {
      let inside = in_group(c4, first);
      a += select(vec4f(), ld_a(n * u.C4 + c4), inside);
      b += select(vec4f(), ld_b(n * u.C4 + c4), inside);
    }
    p[lane] = u.f * dot(a, vec4f(1.0));
    q[lane] = u.g * dot(b, vec4f(1.0));
  }
  st_p(t, p);
  st_q(t, q);
}

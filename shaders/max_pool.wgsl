// max_pool.  y[n, h, w] = max of x[n, i, j] over i = S h - pad .. + K, j likewise
// in x: [N, H, W, C]   out y: [N, HO, WO, C]
// grid: one invocation per output texel
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let p = pixel(t, u.HO, u.WO, u.C4);
  var best = vec4f(-3.4e38);
  for (var i = max(p.h * u.S - u.pad, 0); i < min(p.h * u.S - u.pad + u.K, u.H); i++) {
    for (var j = max(p.w * u.S - u.pad, 0); j < min(p.w * u.S - u.pad + u.K, u.W); j++) {
      best = max(best, ld_x(((p.n * u.H + i) * u.W + j) * u.C4 + p.c));
    }
  }
  st_y(t, best);
}

// Windows that share no pixel and leave none out, D x D.
@compute @workgroup_size(WG)
fn disjoint(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let rest = quotient(t, u.C4);
  let row = quotient(rest, u.WO); // n and h at once, as the windows fill the maps
  let x0 = (row * $(D) * u.W + remainder(rest, u.WO) * $(D)) * u.C4 + remainder(t, u.C4);
  var best = ld_x(x0);
  //@ for i in D
  //@ for j in D
  best = max(best, ld_x(x0 + ($i * u.W + $j) * u.C4));
  //@ end
  //@ end
  st_y(t, best);
}

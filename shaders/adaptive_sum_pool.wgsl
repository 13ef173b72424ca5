// adaptive_sum_pool.  y[n, h, w] = sum of x[n, i, j] with floor(i HO / H) = h and floor(j WO / W) = w
// in x: [N, H, W, C]   out y: [N, HO, WO, C]
// grid: one invocation per output texel
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let p = pixel(t, u.HO, u.WO, u.C4);
  // ceil(p.h H / HO) is the first row of the region, and the next region's first ends it
  let h1 = quotient((p.h + 1) * u.H + u.HO - 1, u.HO);
  let w0 = quotient(p.w * u.W + u.WO - 1, u.WO);
  let w1 = quotient((p.w + 1) * u.W + u.WO - 1, u.WO);
  var total = vec4f();
  for (var i = quotient(p.h * u.H + u.HO - 1, u.HO); i < h1; i++) {
    let row = (p.n * u.H + i) * u.W;
    for (var j = w0; j < w1; j++) { total += ld_x((row + j) * u.C4 + p.c); }
  }
  st_y(t, total);
}

// Regions of D x D pixels.
@compute @workgroup_size(WG)
fn whole(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let rest = quotient(t, u.C4);
  let row = quotient(rest, u.WO); // n and h at once
  let x0 = (row * $(D) * u.W + remainder(rest, u.WO) * $(D)) * u.C4 + remainder(t, u.C4);
  var total = vec4f();
  //@ for i in D
  //@ for j in D
  total += ld_x(x0 + ($i * u.W + $j) * u.C4);
  //@ end
  //@ end
  st_y(t, total);
}

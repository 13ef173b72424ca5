// max_pool_grad.  dx[n, i, j] = sum of dy[n, h, w] over the windows whose first maximum is x[n, i, j]
// in x: [N, H, W, C]   in dy: [N, HO, WO, C]   out dx: [N, H, W, C]
// grid: one invocation per texel of dx
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let p = pixel(t, u.H, u.W, u.C4);
  let own = ld_x(t);
  var total = vec4f();
  // Windows that hold row r begin at rows S h - pad from r - K + 1 to r.
  for (var h = max(quotient(p.h + u.pad - u.K + u.S, u.S), 0); h <= min(quotient(p.h + u.pad, u.S), u.HO - 1); h++) {
    for (var w = max(quotient(p.w + u.pad - u.K + u.S, u.S), 0); w <= min(quotient(p.w + u.pad, u.S), u.WO - 1); w++) {
      var first = vec4<bool>(true);
      for (var a = max(h * u.S - u.pad, 0); a < min(h * u.S - u.pad + u.K, u.H); a++) {
        for (var b = max(w * u.S - u.pad, 0); b < min(w * u.S - u.pad + u.K, u.W); b++) {
          if (a == p.h && b == p.w) { continue; }
          let other = ld_x(((p.n * u.H + a) * u.W + b) * u.C4 + p.c);
          first &= select(own >= other, own > other, vec4<bool>(a < p.h || (a == p.h && b < p.w)));
        }
      }
      total += select(vec4f(), ld_dy(((p.n * u.HO + h) * u.WO + w) * u.C4 + p.c), first);
    }
  }
  st_dx(t, total);
}

// Windows that share no pixel and leave none out: one invocation for a texel of dy writes all pixels of its window.
@compute @workgroup_size(WG)
fn disjoint(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let c = remainder(t, u.C4);
  let rest = quotient(t, u.C4);
  let w = remainder(rest, u.WO);
  let row = quotient(rest, u.WO); // n and h at once, as the windows fill the maps
  let x0 = (row * $(D) * u.W + w * $(D)) * u.C4 + c;
  //@ for i in D
  //@ for j in D
  let i$(i)_$j = x0 + ($i * u.W + $j) * u.C4;
  let x$(i)_$j = ld_x(i$(i)_$j);
  //@ end
  //@ end
  var best = x0_0;
  //@ for i in D
  //@ for j in D
  best = max(best, x$(i)_$j);
  //@ end
  //@ end
  var left = ld_dy(t); // what no pixel has taken yet
  //@ for i in D
  //@ for j in D
  {
    let own = select(vec4f(), left, x$(i)_$j == best);
    st_dx(i$(i)_$j, own);
    left = select(left, vec4f(), x$(i)_$j == best);
  }
  //@ end
  //@ end
}

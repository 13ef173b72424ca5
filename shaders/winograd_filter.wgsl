// winograd_filter.  u = G f G^T, for the 3 x 3 filters f of each pair of channels
// in f: [3, 3, I, O]   out u: for each of 36 places [I, O]
// grid: one invocation per input channel x 4 output channels
// source: arXiv 1509.09308; matrices in ops/_winograd.ts
const A = 0.7071067811865476;
const B = 1.4142135623730951;

@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  //@ for c in 3
  let f0_$c = ld_f(t + $c * u.threads);
  let f1_$c = ld_f(t + $(3 + c) * u.threads);
  let f2_$c = ld_f(t + $(6 + c) * u.threads);
  let pa$c = (f0_$c + 0.5 * f2_$c) / -1.5;
  let qa$c = (A / -1.5) * f1_$c;
  let pb$c = (f0_$c + 2.0 * f2_$c) / 6.0;
  let qb$c = (B / 6.0) * f1_$c;
  let g0_$c = f0_$c;
  let g1_$c = pa$c + qa$c;
  let g2_$c = pa$c - qa$c;
  let g3_$c = pb$c + qb$c;
  let g4_$c = pb$c - qb$c;
  let g5_$c = f2_$c;
  //@ end
  //@ for r in 6
  {
    let pa = (g$(r)_0 + 0.5 * g$(r)_2) / -1.5;
    let qa = (A / -1.5) * g$(r)_1;
    let pb = (g$(r)_0 + 2.0 * g$(r)_2) / 6.0;
    let qb = (B / 6.0) * g$(r)_1;
    let at = t + $(6 * r) * u.stride;
    st_u(at, g$(r)_0);
    st_u(at + u.stride, pa + qa);
    st_u(at + 2 * u.stride, pa - qa);
    st_u(at + 3 * u.stride, pb + qb);
    st_u(at + 4 * u.stride, pb - qb);
    st_u(at + 5 * u.stride, g$(r)_2);
  }
  //@ end
}

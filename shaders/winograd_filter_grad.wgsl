// winograd_filter_grad.  df = G^T u G, for the 36 places of each pair of channels
// in u: of winograd_filter_grad_product.wgsl   out df: [3, 3, I, O]
// grid: one invocation per input channel x 4 output channels
// source: arXiv 1509.09308; matrices in ops/_winograd.ts
const A = 0.7071067811865476;
const B = 1.4142135623730951;

@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  //@ for c in 6
  let u0_$c = ld_u(t + $c * u.stride);
  let u1_$c = ld_u(t + $(6 + c) * u.stride);
  let u2_$c = ld_u(t + $(12 + c) * u.stride);
  let u3_$c = ld_u(t + $(18 + c) * u.stride);
  let u4_$c = ld_u(t + $(24 + c) * u.stride);
  let u5_$c = ld_u(t + $(30 + c) * u.stride);
  let pa$c = (u1_$c + u2_$c) / -1.5;
  let pb$c = (u3_$c + u4_$c) / 6.0;
  let g0_$c = u0_$c + pa$c + pb$c;
  let g1_$c = (A / -1.5) * (u1_$c - u2_$c) + (B / 6.0) * (u3_$c - u4_$c);
  let g2_$c = 0.5 * pa$c + 2.0 * pb$c + u5_$c;
  //@ end
  //@ for r in 3
  {
    let pa = (g$(r)_1 + g$(r)_2) / -1.5;
    let pb = (g$(r)_3 + g$(r)_4) / 6.0;
    let at = t + $(3 * r) * u.threads;
    st_df(at, g$(r)_0 + pa + pb);
    st_df(at + u.threads, (A / -1.5) * (g$(r)_1 - g$(r)_2) + (B / 6.0) * (g$(r)_3 - g$(r)_4));
    st_df(at + 2 * u.threads, 0.5 * pa + 2.0 * pb + g$(r)_5);
  }
  //@ end
}

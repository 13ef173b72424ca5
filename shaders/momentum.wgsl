// momentum.  g = grad + w p, (s' = a s + (1-a) g^2, g = g / (sqrt(s') + eps),) v' = m v + g, p' = p - lr v'
// in p_n, grad_n, v_n (, s_n) (, ema_n): texels of N tensors   in hyper: MOMENTUM_HYPER of ops/momentum.ts
// out p'_n, v'_n (, s'_n) (, ema'_n)
// grid: one invocation per texel, those of tensor n from first_n until end_n, in workgroups of their own.
// S: 1 with mean squares;  E: 1 with a moving average
// source: Sutskever et al. 2013, as torch's SGD has it; Graves 2013, arXiv 1308.0850, without the centring of eq. 38-45
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  let h = hyper();
  //@ for n in N
  if (t >= u.first$n && t < u.end$n) {
    let i = t - u.first$n;
    let p = ld_p$n(i);
    var g = ld_g$n(i) + h.weight_decay * p;
    //@ for k in S
    let s = h.alpha * ld_squares$n(i) + h.square_rate * (g * g);
    st_squares_new$n(i, s);
    // Zero over zero in the padding lanes if eps is zero: the store clears them.
    g = g / (sqrt(s) + h.eps);
    //@ end
    let v = h.momentum * ld_velocity$n(i) + g;
    let q = p - h.lr * v;
    st_velocity_new$n(i, v);
    st_p_new$n(i, q);
    //@ for k in E
    let e = ld_ema$n(i);
    st_ema_new$n(i, e + h.ema_rate * (q - e));
    //@ end
  }
  //@ end
}

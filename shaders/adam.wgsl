// adam.  g = s grad (+ w p), m' = b1 m + (1-b1) g, v' = b2 v + (1-b2) g^2, p' = p (1 - lr w) - lr c1 m' / (sqrt(c2 v') + eps)
// in p_n, grad_n, m_n, v_n (, ema_n): texels of N tensors   in hyper: HYPER of ops/adam.ts, which adds hyper()
// out p'_n, m'_n, v'_n (, ema'_n)
// grid: one invocation per texel, those of tensor n from first_n until end_n, in workgroups of their own.
// E: 1 with a moving average;  L2: 1 where w p is added to the gradient
// source: arXiv 1412.6980, algorithm 1; decoupled decay arXiv 1711.05101, algorithm 2
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  let h = hyper();
  //@ for n in N
  if (t >= u.first$n && t < u.end$n) {
    let i = t - u.first$n;
    let p = ld_p$n(i);
    //@ for k in L2
    let g = h.grad_scale * ld_g$n(i) + h.weight_decay * p;
    let kept = p;
    //@ end
    //@ for k in 1 - L2
    let g = h.grad_scale * ld_g$n(i);
    let kept = p - h.lr * h.weight_decay * p;
    //@ end
    let m = h.beta1 * ld_m$n(i) + h.m_rate * g;
    let v = h.beta2 * ld_v$n(i) + h.v_rate * g * g;
    // Zero over zero in the padding lanes if eps is zero: the store clears them.
    let q = kept - h.lr * h.m_correction * m / (sqrt(h.v_correction * v) + h.eps);
    st_p_new$n(i, q);
    st_m_new$n(i, m);
    st_v_new$n(i, v);
    //@ for k in E
    let e = ld_ema$n(i);
    st_ema_new$n(i, e + h.ema_rate * (q - e));
    //@ end
  }
  //@ end
}

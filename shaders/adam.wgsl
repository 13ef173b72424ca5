// adam.  g = s grad (+ w p), m' = b1 m + (1-b1) g, v' = b2 v + (1-b2) g^2, p' = p (1 - lr w) - lr c1 m' / (sqrt(c2 v') + eps)
// in p, grad, m, v: texels   in hyper: HYPER of ops/adam.ts, which adds hyper()   out p', m', v' (, ema')
// grid: one invocation per texel.  E: 1 with a moving average;  L2: 1 where w p is added to the gradient
// source: arXiv 1412.6980, algorithm 1; decoupled decay arXiv 1711.05101, algorithm 2
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let h = hyper();
  let p = ld_p(t);
  //@ for k in L2
  let g = h.grad_scale * ld_g(t) + h.weight_decay * p;
  let kept = p;
  //@ end
  //@ for k in 1 - L2
  let g = h.grad_scale * ld_g(t);
  let kept = p - h.lr * h.weight_decay * p;
  //@ end
  let m = h.beta1 * ld_m(t) + h.m_rate * g;
  let v = h.beta2 * ld_v(t) + h.v_rate * g * g;
  // Zero over zero in the padding lanes if eps is zero: the store clears them.
  let q = kept - h.lr * h.m_correction * m / (sqrt(h.v_correction * v) + h.eps);
  st_p_new(t, q);
  st_m_new(t, m);
  st_v_new(t, v);
  //@ for k in E
  let e = ld_ema(t);
  st_ema_new(t, e + h.ema_rate * (q - e));
  //@ end
}

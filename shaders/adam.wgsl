// adam.  g = s grad (+ w p), m' = b1 m + (1-b1) g, v' = b2 v + (1-b2) g^2, p' = p (1 - lr w) - lr c1 m' / (sqrt(c2 v') + eps)
// in p, grad, m, v: texels   in hyper: [12] = lr, b1, b2, eps | w, c1, c2, s | 1-b1, 1-b2, 1-decay, 0   out p', m', v' (, ema')
// grid: one invocation per texel.  E: 1 with a moving average;  L2: 1 where w p is added to the gradient
// source: arXiv 1412.6980, algorithm 1; decoupled decay arXiv 1711.05101, algorithm 2
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let a = ld_hyper(0);
  let b = ld_hyper(1);
  let c = ld_hyper(2);
  let p = ld_p(t);
  //@ for k in L2
  let g = b.w * ld_g(t) + b.x * p;
  let kept = p;
  //@ end
  //@ for k in 1 - L2
  let g = b.w * ld_g(t);
  let kept = p - a.x * b.x * p;
  //@ end
  let m = a.y * ld_m(t) + c.x * g;
  let v = a.z * ld_v(t) + c.y * g * g;
  // Zero over zero in the padding lanes if eps is zero: the store clears them.
  let q = kept - a.x * b.y * m / (sqrt(b.z * v) + a.w);
  st_p_new(t, q);
  st_m_new(t, m);
  st_v_new(t, v);
  //@ for k in E
  let e = ld_ema(t);
  st_ema_new(t, e + c.z * (q - e));
  //@ end
}

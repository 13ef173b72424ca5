// sin_cos.  (sin, cos) of k pi / 2 + r, |r| <= pi / 4, to 1e-7: WGSL's own may be off by 5e-4
// source: Moshier, Cephes, single/sinf.c
fn sin_cos(k: i32, r: f32) -> vec2f {
  let z = r * r;
  let s = ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * r + r;
  let c = ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - 0.5 * z + 1.0;
  let turned = select(vec2f(s, c), vec2f(c, -s), (k & 1) != 0);
  return select(turned, -turned, (k & 2) != 0);
}

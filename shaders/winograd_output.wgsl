// winograd_output.  y = A^T m A, a tile of 4 x 4 results of a 3x3 convolution from the products of its 36 places
// in m: as v of winograd_input.wgsl, with the output channels   out y: [N, H, W, O]
// grid: one invocation per tile x 4 channels.  Turned by 180 degrees (step = -1), results are those of the gradient
// source: arXiv 1509.09308; tile_of() in _winograd.wgsl, matrices in ops/_winograd.ts
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let tile = tile_of(t, u.O4);
  let m0 = tile.at;
  let ms = u.stride;
  let top = tile.row + u.first;
  let left = tile.column + u.first;
  //@ for c in 6
  let m0_$c = ld_m(m0 + $c * ms);
  let m1_$c = ld_m(m0 + $(6 + c) * ms);
  let m2_$c = ld_m(m0 + $(12 + c) * ms);
  let m3_$c = ld_m(m0 + $(18 + c) * ms);
  let m4_$c = ld_m(m0 + $(24 + c) * ms);
  let m5_$c = ld_m(m0 + $(30 + c) * ms);
  let pa$c = m1_$c + m2_$c;
  let qa$c = A * (m1_$c - m2_$c);
  let pb$c = m3_$c + m4_$c;
  let qb$c = B * (m3_$c - m4_$c);
  let e0_$c = m0_$c + pa$c + pb$c;
  let e1_$c = qa$c + qb$c;
  let e2_$c = 0.5 * pa$c + 2.0 * pb$c;
  let e3_$c = 0.5 * qa$c + 2.0 * qb$c + m5_$c;
  //@ end
  //@ for r in 4
  let h$r = top + $r * u.step;
  if (h$r < u.H) {
    let pa = e$(r)_1 + e$(r)_2;
    let qa = A * (e$(r)_1 - e$(r)_2);
    let pb = e$(r)_3 + e$(r)_4;
    let qb = B * (e$(r)_3 - e$(r)_4);
    let at = ((tile.n * u.H + h$r) * u.W + left) * u.O4 + tile.c;
    let s = u.step * u.O4;
    if (left < u.W) { st_y(at, e$(r)_0 + pa + pb); }
    if (left + u.step < u.W) { st_y(at + s, qa + qb); }
    if (left + 2 * u.step < u.W) { st_y(at + 2 * s, 0.5 * pa + 2.0 * pb); }
    if (left + 3 * u.step < u.W) { st_y(at + 3 * s, 0.5 * qa + 2.0 * qb + e$(r)_5); }
  }
  //@ end
}

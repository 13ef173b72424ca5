// winograd_input.  v = B^T d B, for the 6 x 6 pixels d under each tile of 4 x 4 results of a 3x3 convolution
// in x: [N, H, W, I]   out v: a block of tiles after the other, of each its 36 places, of each the block's tiles: [I]
// grid: one invocation per tile x 4 channels.  Turned by 180 degrees (step = -1), pixels are those of the gradient
// source: arXiv 1509.09308; tile_of() in _winograd.wgsl, matrices in ops/_winograd.ts
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let tile = tile_of(t, u.I4);
  let s = u.stride;
  let top = tile.row + u.first;
  let left = tile.column + u.first;
  //@ for r in 6
  let h$r = top + $r * u.step;
  let y$r = select(-1000000000, (tile.n * u.H + h$r) * u.W * u.I4 + tile.c, h$r >= 0 && h$r < u.H);
  let w$r = left + $r * u.step;
  let x$r = select(-1000000000, w$r * u.I4, w$r >= 0 && w$r < u.W);
  //@ end
  //@ for c in 6
  let d0_$c = ldz_x(y0 + x$c);
  let d1_$c = ldz_x(y1 + x$c);
  let d2_$c = ldz_x(y2 + x$c);
  let d3_$c = ldz_x(y3 + x$c);
  let d4_$c = ldz_x(y4 + x$c);
  let d5_$c = ldz_x(y5 + x$c);
  let pa$c = d4_$c - 2.0 * d2_$c;
  let qa$c = A * (d3_$c - 2.0 * d1_$c);
  let pb$c = d4_$c - 0.5 * d2_$c;
  let qb$c = B * (d3_$c - 0.5 * d1_$c);
  let e0_$c = d0_$c - 2.5 * d2_$c + d4_$c;
  let e1_$c = pa$c + qa$c;
  let e2_$c = pa$c - qa$c;
  let e3_$c = pb$c + qb$c;
  let e4_$c = pb$c - qb$c;
  let e5_$c = d1_$c - 2.5 * d3_$c + d5_$c;
  //@ end
  //@ for r in 6
  {
    let pa = e$(r)_4 - 2.0 * e$(r)_2;
    let qa = A * (e$(r)_3 - 2.0 * e$(r)_1);
    let pb = e$(r)_4 - 0.5 * e$(r)_2;
    let qb = B * (e$(r)_3 - 0.5 * e$(r)_1);
    let at = tile.at + $(6 * r) * s;
    st_v(at, e$(r)_0 - 2.5 * e$(r)_2 + e$(r)_4);
    st_v(at + s, pa + qa);
    st_v(at + 2 * s, pa - qa);
    st_v(at + 3 * s, pb + qb);
    st_v(at + 4 * s, pb - qb);
    st_v(at + 5 * s, e$(r)_1 - 2.5 * e$(r)_3 + e$(r)_5);
  }
  //@ end
}

// winograd_grad_output_transform.  m = A dy A^T, for a tile dy of 4 x 4 gradients of a 3x3 convolution's results
// in dy: [N, H, W, O]   out m: as v of winograd_input.wgsl, with the output channels
// grid: one invocation per tile x 4 channels
// source: arXiv 1509.09308; tile_of() in _winograd.wgsl, matrices in ops/_winograd.ts
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let tile = tile_of(t, u.O4);
  let s = u.stride;
  let top = tile.row;
  let left = tile.column;
  //@ for r in 4
  let y$r = select(-1000000000, (tile.n * u.H + top + $r) * u.W * u.O4 + tile.c, top + $r < u.H);
  let x$r = select(-1000000000, (left + $r) * u.O4, left + $r < u.W);
  //@ end
  //@ for c in 4
  let d0_$c = ldz_dy(y0 + x$c);
  let d1_$c = ldz_dy(y1 + x$c);
  let d2_$c = ldz_dy(y2 + x$c);
  let d3_$c = ldz_dy(y3 + x$c);
  let pa$c = d0_$c + 0.5 * d2_$c;
  let qa$c = A * (d1_$c + 0.5 * d3_$c);
  let pb$c = d0_$c + 2.0 * d2_$c;
  let qb$c = B * (d1_$c + 2.0 * d3_$c);
  let e0_$c = d0_$c;
  let e1_$c = pa$c + qa$c;
  let e2_$c = pa$c - qa$c;
  let e3_$c = pb$c + qb$c;
  let e4_$c = pb$c - qb$c;
  let e5_$c = d3_$c;
  //@ end
  //@ for r in 6
  {
    let pa = e$(r)_0 + 0.5 * e$(r)_2;
    let qa = A * (e$(r)_1 + 0.5 * e$(r)_3);
    let pb = e$(r)_0 + 2.0 * e$(r)_2;
    let qb = B * (e$(r)_1 + 2.0 * e$(r)_3);
    let at = tile.at + $(6 * r) * s;
    st_m(at, e$(r)_0);
    st_m(at + s, pa + qa);
    st_m(at + 2 * s, pa - qa);
    st_m(at + 3 * s, pb + qb);
    st_m(at + 4 * s, pb - qb);
    st_m(at + 5 * s, e$(r)_3);
  }
  //@ end
}

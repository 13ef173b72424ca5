// winograd_filter_grad_product.  u[i, o] = sum over the tiles of v[i] m[o], for each of their 36 places
// in v: of winograd_input.wgsl   in m: of winograd_grad_output_transform.wgsl   out u: as that of winograd_filter.wgsl
// grid: one invocation per place x 4 R input and 4 Q output channels; lanes along the output channels
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let col = t % u.o_tiles * $(Q);
  let rest = t / u.o_tiles;
  let row = rest % u.i_tiles * $(R);
  let place = rest / u.i_tiles;
  //@ for r in R
  //@ for q in Q
  //@ for j in 4
  var c$(r)_$(j)_$q = vec4f();
  //@ end
  //@ end
  //@ end
  for (var k = 0; k < u.tiles; k += 2) {
    let block = 36 * (k / $(BLOCK)) + place;
    let x = block * u.v_stride + k % $(BLOCK) * u.I4 + row;
    let y = block * u.m_stride + k % $(BLOCK) * u.O4 + col;
    let even = k + 1 < u.tiles;
    //@ for q in Q
    let d$q = ldz_m(y + $q);
    let e$q = ldz_m(select(-1, y + $q + u.O4, even));
    //@ end
    //@ for r in R
    {
      let a = ldz_v(x + $r);
      let b = ldz_v(select(-1, x + $r + u.I4, even));
      //@ for q in Q
      c$(r)_0_$q += a.x * d$q + b.x * e$q;
      c$(r)_1_$q += a.y * d$q + b.y * e$q;
      c$(r)_2_$q += a.z * d$q + b.z * e$q;
      c$(r)_3_$q += a.w * d$q + b.w * e$q;
      //@ end
    }
    //@ end
  }
  //@ for r in R
  //@ for j in 4
  let u$(r)_$j = place * u.stride + (4 * (row + $r) + $j) * u.O4 + col;
  //@ for q in Q
  st_u(u$(r)_$j + $q, c$(r)_$(j)_$q);
  //@ end
  //@ end
  //@ end
}

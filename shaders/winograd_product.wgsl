// winograd_product.  m = v u for each of the 36 places of the tiles of winograd_input.wgsl
// nn: v of the inputs, m of the outputs    nt: the other way round, as for the gradient
// in x: v   in w: u of winograd_filter.wgsl   out y: m
// grid: one invocation per place of a block of tiles x 4 Q channels

@compute @workgroup_size(WG)
fn nn(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let z = t / u.col_tiles;
  let col = (t - z * u.col_tiles) * $(Q);
  let x0 = z * u.x_stride;
  let w0 = (z % 36) * u.w_stride + col;
  //@ for r in BLOCK
  //@ for q in Q
  var c$(r)_$q = vec4f();
  //@ end
  //@ end
  for (var k = 0; k < u.K4; k++) {
    let wk = w0 + 4 * k * u.w_row;
    //@ for q in Q
    let m$q = mat4x4f(ld_w(wk + $q), ld_w(wk + u.w_row + $q), ld_w(wk + 2 * u.w_row + $q), ld_w(wk + 3 * u.w_row + $q));
    //@ end
    //@ for r in BLOCK
    {
      let a = ld_x(x0 + k + $r * u.K4);
      //@ for q in Q
      c$(r)_$q += m$q * a;
      //@ end
    }
    //@ end
  }
  let y0 = z * u.y_stride + col;
  //@ for r in BLOCK
  //@ for q in Q
  st_y(y0 + $r * u.N4 + $q, c$(r)_$q);
  //@ end
  //@ end
}

@compute @workgroup_size(WG)
fn nt(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let z = t / u.col_tiles;
  let col = (t - z * u.col_tiles) * $(Q);
  let x0 = z * u.x_stride;
  let w0 = (z % 36) * u.w_stride + 4 * col * u.w_row;
  //@ for r in BLOCK
  //@ for q in Q
  var c$(r)_$q = vec4f();
  //@ end
  //@ end
  for (var k = 0; k < u.K4; k++) {
    let wk = w0 + k;
    //@ for q in Q
    let m$q = mat4x4f(ld_w(wk + $(4 * q) * u.w_row), ld_w(wk + $(4 * q + 1) * u.w_row), ld_w(wk + $(4 * q + 2) * u.w_row), ld_w(wk + $(4 * q + 3) * u.w_row));
    //@ end
    //@ for r in BLOCK
    {
      let a = ld_x(x0 + k + $r * u.K4);
      //@ for q in Q
      c$(r)_$q += a * m$q;
      //@ end
    }
    //@ end
  }
  let y0 = z * u.y_stride + col;
  //@ for r in BLOCK
  //@ for q in Q
  st_y(y0 + $r * u.N4 + $q, c$(r)_$q);
  //@ end
  //@ end
}

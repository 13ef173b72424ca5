// matmul.  Y = X W, for each batch (n, h); rows and batches are strided, so that heads are read in place
// nn: X [M, K], W [K, N]    nt: X [M, K], W [N, K] (Y = X W^T)    tn: X [K, M], W [K, N] (Y = X^T W)
// out Y: [M, N]; strides in texels
// grid: one invocation per R rows x Q texels of Y; lanes along the columns
// A tile keeps R * Q accumulators in registers; an accumulator's chain of 4 products is one statement (docs/speed.md)

fn tile(t: i32) -> vec4i {
  let col = t % u.col_tiles;
  let rest = t / u.col_tiles;
  let row = rest % u.row_tiles;
  let z = rest / u.row_tiles;
  return vec4i(row, col, z / u.H, z % u.H);
}

@compute @workgroup_size(WG)
fn nn(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let at = tile(t);
  let row = at.x * $(R);
  let col = at.y * $(Q);
  let x0 = at.z * u.x_n + at.w * u.x_h;
  let w0 = at.z * u.w_n + at.w * u.w_h + col;
  let y0 = at.z * u.y_n + at.w * u.y_h + col;
  //@ for r in R
  let xr$r = select(-1000000000, x0 + (row + $r) * u.x_row, row + $r < u.M);
  //@ for q in Q
  var c$(r)_$q = vec4f();
  //@ end
  //@ end
  //@ for q in Q
  let wq$q = select(-1000000000, w0 + $q, col + $q < u.N4);
  //@ end
  let step = u.w_row;
  for (var k = 0; k < u.K4; k++) {
    let wk = 4 * k * step;
    //@ for q in Q
    let m$q = mat4x4f(ldz_w(wq$q + wk), ldz_w(wq$q + wk + step), ldz_w(wq$q + wk + 2 * step), ldz_w(wq$q + wk + 3 * step));
    //@ end
    //@ for r in R
    {
      let a = ldz_x(xr$r + k);
      //@ for q in Q
      c$(r)_$q += m$q * a;
      //@ end
    }
    //@ end
  }
  //@ for r in R
  if (row + $r < u.M) {
    //@ for q in Q
    if (col + $q < u.N4) { st_y(y0 + (row + $r) * u.y_row + $q, c$(r)_$q); }
    //@ end
  }
  //@ end
}

@compute @workgroup_size(WG)
fn nt(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let at = tile(t);
  let row = at.x * $(R);
  let col = at.y * $(Q);
  let x0 = at.z * u.x_n + at.w * u.x_h;
  let w0 = at.z * u.w_n + at.w * u.w_h;
  let y0 = at.z * u.y_n + at.w * u.y_h + col;
  //@ for r in R
  let xr$r = select(-1000000000, x0 + (row + $r) * u.x_row, row + $r < u.M);
  //@ for q in Q
  var c$(r)_$q = vec4f();
  //@ end
  //@ end
  //@ for q in Q
  //@ for j in 4
  let wq$(q)_$j = select(-1000000000, w0 + (4 * (col + $q) + $j) * u.w_row, 4 * (col + $q) + $j < u.N);
  //@ end
  //@ end
  for (var k = 0; k < u.K4; k++) {
    //@ for q in Q
    let m$q = mat4x4f(ldz_w(wq$(q)_0 + k), ldz_w(wq$(q)_1 + k), ldz_w(wq$(q)_2 + k), ldz_w(wq$(q)_3 + k));
    //@ end
    //@ for r in R
    {
      let a = ldz_x(xr$r + k);
      //@ for q in Q
      c$(r)_$q += a * m$q;
      //@ end
    }
    //@ end
  }
  //@ for r in R
  if (row + $r < u.M) {
    //@ for q in Q
    if (col + $q < u.N4) { st_y(y0 + (row + $r) * u.y_row + $q, c$(r)_$q); }
    //@ end
  }
  //@ end
}

// Here R and Q count texels: a tile is 4 R rows x 4 Q columns.
@compute @workgroup_size(WG)
fn tn(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let at = tile(t);
  let row = at.x * $(R);
  let col = at.y * $(Q);
  let x0 = at.z * u.x_n + at.w * u.x_h + row;
  let w0 = at.z * u.w_n + at.w * u.w_h + col;
  let y0 = at.z * u.y_n + at.w * u.y_h + col;
  let m4 = (u.M + 3) / 4;
  //@ for r in R
  let xr$r = select(-1000000000, x0 + $r, row + $r < m4);
  //@ for q in Q
  //@ for j in 4
  var c$(r)_$(j)_$q = vec4f();
  //@ end
  //@ end
  //@ end
  //@ for q in Q
  let wq$q = select(-1000000000, w0 + $q, col + $q < u.N4);
  //@ end
  for (var k = 0; k < u.K; k += 2) {
    let even = k + 1 < u.K;
    //@ for r in R
    let a$r = ldz_x(xr$r + k * u.x_row);
    let b$r = ldz_x(select(-1, xr$r + (k + 1) * u.x_row, even));
    //@ end
    //@ for q in Q
    let d$q = ldz_w(wq$q + k * u.w_row);
    let e$q = ldz_w(select(-1, wq$q + (k + 1) * u.w_row, even));
    //@ end
    //@ for r in R
    //@ for q in Q
    c$(r)_0_$q += a$r.x * d$q + b$r.x * e$q;
    c$(r)_1_$q += a$r.y * d$q + b$r.y * e$q;
    c$(r)_2_$q += a$r.z * d$q + b$r.z * e$q;
    c$(r)_3_$q += a$r.w * d$q + b$r.w * e$q;
    //@ end
    //@ end
  }
  //@ for r in R
  //@ for j in 4
  if (4 * (row + $r) + $j < u.M) {
    //@ for q in Q
    if (col + $q < u.N4) { st_y(y0 + (4 * (row + $r) + $j) * u.y_row + $q, c$(r)_$(j)_$q); }
    //@ end
  }
  //@ end
  //@ end
}

// matmul, tiled.  Addresses for _gemm.wgsl; operands and strides as in matmul.wgsl
fn x_at(z: i32, row: i32, step: i32, j: i32) -> vec4f {
  let x0 = (z / u.H) * u.x_n + (z % u.H) * u.x_h;
  //@ for direct in 1 - XT
  let k = 4 * step + j;
  return ldz_x(select(-1, x0 + row * u.x_row + k, row < u.M && k < u.K4));
  //@ end
  //@ for transposed in XT
  let k = 16 * step + j;
  return ldz_x(select(-1, x0 + k * u.x_row + row, 4 * row < u.M && k < u.K));
  //@ end
}

fn w_at(z: i32, col: i32, step: i32, j: i32) -> vec4f {
  let w0 = (z / u.H) * u.w_n + (z % u.H) * u.w_h;
  //@ for direct in 1 - WT
  let k = 16 * step + j;
  return ldz_w(select(-1, w0 + k * u.w_row + col, col < u.N4 && k < u.K));
  //@ end
  //@ for transposed in WT
  let k = 4 * step + j;
  return ldz_w(select(-1, w0 + col * u.w_row + k, col < u.N && k < u.K4));
  //@ end
}

fn y_put(z: i32, row: i32, col: i32, v: vec4f) {
  if (row < u.M && col < u.N4) { st_y((z / u.H) * u.y_n + (z % u.H) * u.y_h + row * u.y_row + col, v); }
}

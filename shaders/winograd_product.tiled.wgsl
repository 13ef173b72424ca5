// winograd_product, tiled.  Addresses for _gemm.wgsl: z is the place, rows are the tiles; tensors as in winograd_product.wgsl
fn tile_at(z: i32, row: i32, stride: i32, channels: i32) -> i32 {
  let block = row / $(BLOCK);
  return (block * 36 + z) * stride + (row - $(BLOCK) * block) * channels;
}

fn x_at(z: i32, row: i32, step: i32, j: i32) -> vec4f {
  let k = 4 * step + j;
  return ldz_x(select(-1, tile_at(z, row, u.x_stride, u.K4) + k, row < u.rows && k < u.K4));
}

fn w_at(z: i32, col: i32, step: i32, j: i32) -> vec4f {
  //@ for direct in 1 - WT
  let k = 16 * step + j;
  return ldz_w(select(-1, z * u.w_stride + k * u.w_row + col, k < 4 * u.K4 && col < u.N4));
  //@ end
  //@ for transposed in WT
  let k = 4 * step + j;
  return ldz_w(select(-1, z * u.w_stride + col * u.w_row + k, col < 4 * u.N4 && k < u.K4));
  //@ end
}

fn y_put(z: i32, row: i32, col: i32, v: vec4f) {
  if (row < u.rows && col < u.N4) { st_y(tile_at(z, row, u.y_stride, u.N4) + col, v); }
}

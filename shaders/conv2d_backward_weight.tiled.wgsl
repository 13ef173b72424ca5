// conv2d_backward_weight, tiled.  Addresses for _gemm.wgsl: z is (part, tap), rows are the input channels, columns the output
// channels, and a step is 16 pixels of the part; tensors as in conv2d_backward_weight.wgsl
fn summed_pixel(z: i32, step: i32, j: i32) -> i32 {
  let part = z / $(KH * KW);
  let p = part * u.step * u.WO + 16 * step + j;
  return select(-1, p, p < min((part + 1) * u.step, u.rows) * u.WO);
}

fn x_at(z: i32, row: i32, step: i32, j: i32) -> vec4f {
  let p = summed_pixel(z, step, j);
  let tap = z % $(KH * KW);
  let line = p / u.WO;
  let n = line / u.HO;
  let h = (line % u.HO) * $(S) + tap / $(KW) - u.pad_top;
  let w = (p % u.WO) * $(S) + tap % $(KW) - u.pad_left;
  let inside = p >= 0 && row < u.I4 && h >= 0 && h < u.H && w >= 0 && w < u.W;
  return ldz_x(select(-1, ((n * u.H + h) * u.W + w) * u.I4 + row, inside));
}

fn w_at(z: i32, col: i32, step: i32, j: i32) -> vec4f {
  let p = summed_pixel(z, step, j);
  return ldz_dy(select(-1, p * u.O4 + col, p >= 0 && col < u.O4));
}

fn y_put(z: i32, row: i32, col: i32, v: vec4f) {
  if (row < u.I && col < u.O4) { st_df((z * u.I + row) * u.O4 + col, v); }
}

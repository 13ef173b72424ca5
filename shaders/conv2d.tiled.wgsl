// conv2d, tiled.  Addresses for _gemm.wgsl: rows are the pixels (n, ho, wo), columns the output channels, and a step is 16
// input channels of a tap; tensors as in conv2d.wgsl
fn x_at(z: i32, row: i32, step: i32, j: i32) -> vec4f {
  let n = row / (u.HO * u.WO);
  let at = row - n * u.HO * u.WO;
  let tap = step / u.tap_steps;
  let h = (at / u.WO) * $(S) + tap / $(KW) - u.pad_top;
  let w = (at % u.WO) * $(S) + tap % $(KW) - u.pad_left;
  let i = (step % u.tap_steps) * 4 + j;
  let inside = row < u.rows && h >= 0 && h < u.H && w >= 0 && w < u.W && i < u.I4;
  return ldz_x(select(-1, ((n * u.H + h) * u.W + w) * u.I4 + i, inside));
}

fn w_at(z: i32, col: i32, step: i32, j: i32) -> vec4f {
  let i = (step % u.tap_steps) * 16 + j;
  return ldz_f(select(-1, ((step / u.tap_steps) * u.I + i) * u.O4 + col, i < u.I && col < u.O4));
}

fn y_put(z: i32, row: i32, col: i32, v: vec4f) {
  if (row < u.rows && col < u.O4) { st_y(row * u.O4 + col, v); }
}

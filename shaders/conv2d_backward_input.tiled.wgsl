// conv2d_backward_input, tiled.  Addresses for _gemm.wgsl: rows are the pixels (n, h, w), columns the input channels, and a
// step is 16 output channels of a tap; tensors as in conv2d_backward_input.wgsl
fn x_at(z: i32, row: i32, step: i32, j: i32) -> vec4f {
  let n = row / (u.H * u.W);
  let at = row - n * u.H * u.W;
  let tap = step / u.tap_steps;
  let h = at / u.W + u.pad_top - tap / $(KW);
  let w = at % u.W + u.pad_left - tap % $(KW);
  let o = (step % u.tap_steps) * 4 + j;
  // Only every S-th place of the input is under the tap.
  let hit = h >= 0 && w >= 0 && h % $(S) == 0 && w % $(S) == 0 && h < u.HO * $(S) && w < u.WO * $(S);
  let inside = row < u.rows && hit && o < u.O4;
  return ldz_dy(select(-1, ((n * u.HO + h / $(S)) * u.WO + w / $(S)) * u.O4 + o, inside));
}

fn w_at(z: i32, col: i32, step: i32, j: i32) -> vec4f {
  let o = (step % u.tap_steps) * 4 + j;
  return ldz_f(select(-1, ((step / u.tap_steps) * u.I + col) * u.O4 + o, col < u.I && o < u.O4));
}

fn y_put(z: i32, row: i32, col: i32, v: vec4f) {
  if (row < u.rows && col < u.I4) { st_dx(row * u.I4 + col, v); }
}

// _gemm.  Y[z] = X[z] W[z] by tiles of 64 rows x 64 columns in workgroup memory, 16 terms of the sum at a time: the body
// of the tiled matrix products and convolutions, for adapters whose workgroup memory is fast (hardware).
// The op adds addresses; outside its tensors they give zero, and the sum goes over u.steps steps of 16 terms:
//   x_at(z, row, step, j): terms 4 j to 4 j + 3 of a row;      XT: term j of 4 rows from 4 * row
//   w_at(z, col, step, j): term j of 4 columns from 4 * col;   WT: terms 4 j to 4 j + 3 of column col
//   y_put(z, row, col, v): 4 columns from 4 * col
// grid: a workgroup of 128 per tile; an invocation has 8 rows x 4 columns
var<workgroup> xs: array<vec4f, 256>; // [row][4 texels of terms]
var<workgroup> ws: array<vec4f, 256>; // [term][16 texels of columns]

@compute @workgroup_size(WG)
fn gemm(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let tile = i32(group.x) + i32(group.y) * (u.grid_x / i32(WG));
  if (tile >= u.tiles) { return; }
  let l = i32(local);
  let col = 16 * (tile % u.col_tiles);
  let row = 64 * ((tile / u.col_tiles) % u.row_tiles);
  let z = tile / (u.col_tiles * u.row_tiles);
  let tx = l % 16;
  let ty = l / 16;
  //@ for r in 8
  var c$r = vec4f();
  //@ end
  for (var step = 0; step < u.steps; step++) {
    //@ for direct in 1 - XT
    //@ for k in 2
    xs[l + 128 * $k] = x_at(z, row + (l + 128 * $k) / 4, step, l % 4);
    //@ end
    //@ end
    //@ for transposed in XT
    if (l < 64) {
      let b = 4 * (l % 4);
      let r = row / 4 + l / 4;
      let m = transpose(mat4x4f(x_at(z, r, step, b), x_at(z, r, step, b + 1), x_at(z, r, step, b + 2), x_at(z, r, step, b + 3)));
      //@ for k in 4
      xs[(4 * (l / 4) + $k) * 4 + l % 4] = m[$k];
      //@ end
    }
    //@ end
    //@ for direct in 1 - WT
    //@ for k in 2
    ws[l + 128 * $k] = w_at(z, col + l % 16, step, l / 16 + 8 * $k);
    //@ end
    //@ end
    //@ for transposed in WT
    if (l < 64) {
      let b = 4 * (col + l % 16);
      let j = l / 16;
      let m = transpose(mat4x4f(w_at(z, b, step, j), w_at(z, b + 1, step, j), w_at(z, b + 2, step, j), w_at(z, b + 3, step, j)));
      //@ for k in 4
      ws[(4 * j + $k) * 16 + l % 16] = m[$k];
      //@ end
    }
    //@ end
    workgroupBarrier();
    //@ for k in 4
    {
      let m = mat4x4f(ws[$(64 * k) + tx], ws[$(64 * k + 16) + tx], ws[$(64 * k + 32) + tx], ws[$(64 * k + 48) + tx]);
      //@ for r in 8
      c$r += m * xs[4 * (ty + $(8 * r)) + $k];
      //@ end
    }
    //@ end
    workgroupBarrier();
  }
  //@ for r in 8
  y_put(z, row + ty + $(8 * r), col + tx, c$r);
  //@ end
}

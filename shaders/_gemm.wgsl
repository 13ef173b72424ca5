// _gemm.  Y[z] = X[z] W[z] by tiles of 64 rows x 64 Q columns in workgroup memory, 16 terms of the sum at a time: the body
// of the tiled matrix products and convolutions, for adapters whose workgroup memory is fast (hardware).
// With BUFFERS 2 the operands of a step are on their way while the step before is computed, for one barrier a step.
// The op adds addresses; outside its tensors they give zero, and the sum goes over u.steps steps of 16 terms:
//   x_at(z, row, step, j): terms 4 j to 4 j + 3 of a row;      XT: term j of 4 rows from 4 * row
//   w_at(z, col, step, j): term j of 4 columns from 4 * col;   WT: terms 4 j to 4 j + 3 of column col
//   y_put(z, row, col, v): 4 columns from 4 * col
// grid: a workgroup of 128 per tile; an invocation has 8 rows x 4 Q columns
var<workgroup> xs: array<vec4f, $(256 * BUFFERS)>; // [buffer][row][4 texels of terms]
var<workgroup> ws: array<vec4f, $(256 * Q * BUFFERS)>; // [buffer][term][16 Q texels of columns]

@compute @workgroup_size(WG)
fn gemm(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let tile = i32(group.x) + i32(group.y) * (u.grid_x / i32(WG));
  if (tile >= u.tiles) { return; }
  let l = i32(local);
  let col = $(16 * Q) * (tile % u.col_tiles);
  let row = 64 * ((tile / u.col_tiles) % u.row_tiles);
  let z = tile / (u.col_tiles * u.row_tiles);
  let tx = l % 16;
  let ty = l / 16;
  //@ for q in Q
  //@ for r in 8
  var c$(10 * q + r) = vec4f();
  //@ end
  //@ end
  for (var at = 0; at < u.steps + $(BUFFERS - 1); at++) {
    let step = min(at, u.steps - 1);
    //@ for k in 2 - 2 * XT
    let x_texel$k = x_at(z, row + (l + 128 * $k) / 4, step, l % 4);
    //@ end
    //@ for transposed in XT
    var x_block = mat4x4f();
    if (l < 64) {
      let b = 4 * (l % 4);
      let r = row / 4 + l / 4;
      x_block = transpose(mat4x4f(x_at(z, r, step, b), x_at(z, r, step, b + 1), x_at(z, r, step, b + 2), x_at(z, r, step, b + 3)));
    }
    //@ end
    //@ for k in 2 * Q - 2 * Q * WT
    let w_texel$k = w_at(z, col + l % $(16 * Q), step, l / $(16 * Q) + $(8 / Q * k));
    //@ end
    //@ for transposed in WT
    var w_block = mat4x4f();
    if (l < $(64 * Q)) {
      let b = 4 * (col + l % $(16 * Q));
      let j = l / $(16 * Q);
      w_block = transpose(mat4x4f(w_at(z, b, step, j), w_at(z, b + 1, step, j), w_at(z, b + 2, step, j), w_at(z, b + 3, step, j)));
    }
    //@ end
    //@ for part in 2
    //@ for computes in (BUFFERS - 1) * (1 - part) + (2 - BUFFERS) * part
    if (at >= $(BUFFERS - 1)) {
      let full = (at + $(BUFFERS - 1)) % $(BUFFERS);
      //@ for k in 4
      {
        //@ for q in Q
        let at$q = full * $(256 * Q) + $(64 * Q * k + 16 * q) + tx;
        let m$q = mat4x4f(ws[at$q], ws[at$q + $(16 * Q)], ws[at$q + $(32 * Q)], ws[at$q + $(48 * Q)]);
        //@ end
        //@ for r in 8
        let v$r = xs[full * 256 + 4 * (ty + $(8 * r)) + $k];
        //@ for q in Q
        c$(10 * q + r) += m$q * v$r;
        //@ end
        //@ end
      }
      //@ end
    }
    //@ end
    //@ for stores in 1 - part
    let empty = at % $(BUFFERS);
    //@ for k in 2 - 2 * XT
    xs[empty * 256 + l + 128 * $k] = x_texel$k;
    //@ end
    //@ for transposed in XT
    if (l < 64) {
      //@ for k in 4
      xs[empty * 256 + (4 * (l / 4) + $k) * 4 + l % 4] = x_block[$k];
      //@ end
    }
    //@ end
    //@ for k in 2 * Q - 2 * Q * WT
    ws[empty * $(256 * Q) + l + 128 * $k] = w_texel$k;
    //@ end
    //@ for transposed in WT
    if (l < $(64 * Q)) {
      //@ for k in 4
      ws[empty * $(256 * Q) + (4 * (l / $(16 * Q)) + $k) * $(16 * Q) + l % $(16 * Q)] = w_block[$k];
      //@ end
    }
    //@ end
    workgroupBarrier();
    //@ end
    //@ end
    //@ for single in 2 - BUFFERS
    workgroupBarrier();
    //@ end
  }
  //@ for q in Q
  //@ for r in 8
  y_put(z, row + ty + $(8 * r), col + tx + $(16 * q), c$(10 * q + r));
  //@ end
  //@ end
}

// _attention.  Y[z] = weights(A[z] B[z]^T) X[z] with no stored weight: 64 rows by 32 columns at a time, in workgroup memory
// in A, row_at(i): [rows, D]   B, column_at(i), and X, value_at(i): [columns, D] of batch and head z = n H + h, by texels
// ONLINE: weights are a softmax of rows, whose sum is scaled as its maximum grows; else exp(scores - logarithms), and
// PAIRS: times a second product less a term of each query, C D^T - delta; FLIPPED: rows are keys, columns queries
// grid: a workgroup of 128 per 64 rows; an invocation has 4 rows x 4 columns of scores, 4 rows x 4 VALUES columns of Y
// source: Dao 2023, arXiv 2307.08691, algorithms 1 and 2; Milakov & Gimelshein 2018, arXiv 1805.02867, algorithm 3
var<workgroup> left: array<vec4f, 576>; // [row][8 texels of terms, 1 against conflicts of banks], then [row][8 texels of columns]
var<workgroup> right: array<vec4f, 256>; // [term][8 texels of columns], then [column][8 VALUES texels]
//@ for online in ONLINE
var<workgroup> parts: array<f32, 512>; // [row][8 invocations]
//@ end

/** Texel d of a token's head. */
fn at(z: i32, tokens: i32, token: i32, d: i32) -> i32 {
  let i = ((z / u.H) * tokens + token) * u.wide + (z % u.H) * u.D4 + d;
  return select(-1, i, token < tokens && d < u.D4);
}

/** Which of 4 columns a row has weights for. */
fn seen(row: i32, column: i32) -> vec4<bool> {
  let columns = column + vec4i(0, 1, 2, 3);
  //@ for straight in 1 - FLIPPED
  let last = select(u.columns, row + 1 + u.columns - u.rows, u.causal != 0);
  return columns < vec4i(min(last, u.columns));
  //@ end
  //@ for flipped in FLIPPED
  let first = select(0, row + u.columns - u.rows, u.causal != 0);
  return (columns >= vec4i(first)) & (columns < vec4i(u.columns));
  //@ end
}

@compute @workgroup_size(WG)
fn attend(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let tile = i32(group.x) + i32(group.y) * (u.grid_x / i32(WG));
  if (tile >= u.tiles) { return; }
  let l = i32(local);
  let tx = l % 8;
  let ty = l / 8;
  let first = 64 * (tile % u.row_tiles);
  let z = tile / u.row_tiles;
  //@ for r in 4
  let row$r = first + ty + $(16 * r);
  //@ for online in ONLINE
  var top$r = -3e38;
  var sum$r = 0.0;
  //@ end
  //@ for c in VALUES
  var y$(r)_$c = vec4f();
  //@ end
  //@ end
  for (var t0 = 0; t0 < u.columns; t0 += 32) {
    let column = t0 + 4 * tx;
    //@ for p in 1 + PAIRS
    //@ for r in 4
    var s$(p)_$r = vec4f();
    //@ end
    for (var d0 = 0; d0 < u.D4; d0 += 8) {
      //@ for k in 4
      left[(l / 8 + $(16 * k)) * 9 + l % 8] = row_at$p(at(z, u.rows, first + l / 8 + $(16 * k), d0 + l % 8));
      //@ end
      if (l < 64) {
        let d = d0 + l / 8;
        let t = t0 + 4 * (l % 8);
        let m = transpose(mat4x4f(
          column_at$p(at(z, u.columns, t, d)),
          column_at$p(at(z, u.columns, t + 1, d)),
          column_at$p(at(z, u.columns, t + 2, d)),
          column_at$p(at(z, u.columns, t + 3, d)),
        ));
        //@ for k in 4
        right[(4 * (l / 8) + $k) * 8 + l % 8] = m[$k];
        //@ end
      }
      workgroupBarrier();
      for (var d = 0; d < min(8, u.D4 - d0); d++) {
        let b = 32 * d + tx;
        let m = mat4x4f(right[b], right[b + 8], right[b + 16], right[b + 24]);
        //@ for r in 4
        s$(p)_$r += m * left[(ty + $(16 * r)) * 9 + d];
        //@ end
      }
      workgroupBarrier();
    }
    //@ end
    //@ for online in ONLINE
    //@ for r in 4
    let s$r = select(vec4f(-3e38), s0_$r * u.s, seen(row$r, column));
    parts[(ty + $(16 * r)) * 8 + tx] = max(max(s$r.x, s$r.y), max(s$r.z, s$r.w));
    //@ end
    workgroupBarrier();
    //@ for r in 4
    {
      var top = top$r;
      //@ for k in 8
      top = max(top, parts[(ty + $(16 * r)) * 8 + $k]);
      //@ end
      let fade = exp(top$r - top);
      let w = exp(s$r - top);
      top$r = top;
      sum$r = sum$r * fade + dot(w, vec4f(1.0));
      //@ for c in VALUES
      y$(r)_$c *= fade;
      //@ end
      left[(ty + $(16 * r)) * 9 + tx] = w;
    }
    //@ end
    //@ end
    //@ for known in 1 - ONLINE
    //@ for r in 4
    {
      var w = select(vec4f(), exp(s0_$r * u.s - logs_at(z, row$r, column)), seen(row$r, column));
      //@ for pairs in PAIRS
      w *= (s1_$r - delta_at(z, row$r, column)) * u.s;
      //@ end
      left[(ty + $(16 * r)) * 9 + tx] = w;
    }
    //@ end
    //@ end
    for (var v0 = 0; v0 < 32; v0 += $(DEPTH)) {
      //@ for k in 2
      if (l + $(128 * k) < $(8 * VALUES * DEPTH)) {
        let e = l + $(128 * k);
        right[e] = value_at(at(z, u.columns, t0 + v0 + e / $(8 * VALUES), e % $(8 * VALUES)));
      }
      //@ end
      workgroupBarrier();
      for (var j = 0; j < $(DEPTH / 4); j++) {
        //@ for r in 4
        let w$r = left[(ty + $(16 * r)) * 9 + v0 / 4 + j];
        //@ end
        let v = $(32 * VALUES) * j + tx;
        //@ for c in VALUES
        {
          let b = v + $(8 * c);
          let m = mat4x4f(right[b], right[b + $(8 * VALUES)], right[b + $(16 * VALUES)], right[b + $(24 * VALUES)]);
          //@ for r in 4
          y$(r)_$c += m * w$r;
          //@ end
        }
        //@ end
      }
      workgroupBarrier();
    }
  }
  //@ for online in ONLINE
  //@ for r in 4
  parts[(ty + $(16 * r)) * 8 + tx] = sum$r;
  //@ end
  workgroupBarrier();
  //@ end
  //@ for r in 4
  if (row$r < u.rows) {
    var factor = 1.0;
    //@ for online in ONLINE
    var total = 0.0;
    //@ for k in 8
    total += parts[(ty + $(16 * r)) * 8 + $k];
    //@ end
    factor = 1.0 / total;
    if (tx == 0) { st_l(z * u.rows + row$r, vec4f(top$r + log(total))); }
    //@ end
    //@ for c in VALUES
    if (tx + $(8 * c) < u.D4) { st_y(at(z, u.rows, row$r, tx + $(8 * c)), y$(r)_$c * factor); }
    //@ end
  }
  //@ end
}

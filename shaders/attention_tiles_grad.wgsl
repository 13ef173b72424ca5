// attention_tiles_grad.  The gradient of attention for q, k or v: what _attention.wgsl loads
// P = exp(s Q K^T - l), dS = s P (dY V^T - d):  dq = dS K, dk = dS^T Q, dv = P^T dY
// in q, dy: [N, L, H D]   k, v: [N, T, H D]   l: [N, H, L, 1]   d: [N, L, H, 1], sums of y dy   out dx: as q, or as k
//@ for straight in 1 - FLIPPED
fn row_at0(i: i32) -> vec4f { return ldz_q(i); }
fn column_at0(i: i32) -> vec4f { return ldz_k(i); }
fn row_at1(i: i32) -> vec4f { return ldz_dy(i); }
fn column_at1(i: i32) -> vec4f { return ldz_v(i); }
fn value_at(i: i32) -> vec4f { return ldz_k(i); }
fn logs_at(z: i32, row: i32, column: i32) -> vec4f { return vec4f(log_at(z, u.rows, row)); }
fn delta_at(z: i32, row: i32, column: i32) -> vec4f { return vec4f(sum_at(z, u.rows, row)); }
//@ end
//@ for flipped in FLIPPED
fn row_at0(i: i32) -> vec4f { return ldz_k(i); }
fn column_at0(i: i32) -> vec4f { return ldz_q(i); }
fn row_at1(i: i32) -> vec4f { return ldz_v(i); }
fn column_at1(i: i32) -> vec4f { return ldz_dy(i); }
//@ for pairs in PAIRS
fn value_at(i: i32) -> vec4f { return ldz_q(i); }
//@ end
//@ for single in 1 - PAIRS
fn value_at(i: i32) -> vec4f { return ldz_dy(i); }
//@ end
fn logs_at(z: i32, row: i32, column: i32) -> vec4f {
  let n = u.columns;
  return vec4f(log_at(z, n, column), log_at(z, n, column + 1), log_at(z, n, column + 2), log_at(z, n, column + 3));
}
fn delta_at(z: i32, row: i32, column: i32) -> vec4f {
  let n = u.columns;
  return vec4f(sum_at(z, n, column), sum_at(z, n, column + 1), sum_at(z, n, column + 2), sum_at(z, n, column + 3));
}
//@ end
fn log_at(z: i32, queries: i32, query: i32) -> f32 {
  return ldz_l(select(-1, z * queries + query, query < queries)).x;
}
fn sum_at(z: i32, queries: i32, query: i32) -> f32 {
  return ldz_d(select(-1, ((z / u.H) * queries + query) * u.H + z % u.H, query < queries)).x;
}

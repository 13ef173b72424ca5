// attention_tiles.  Y = softmax(s Q K^T) V for each batch and head: what _attention.wgsl loads
// in q: [N, L, H D]   k, v: [N, T, H D]   out y: [N, L, H D], l: [N, H, L, 1], logarithms of the sums that divide the weights
fn row_at0(i: i32) -> vec4f { return ldz_q(i); }
fn column_at0(i: i32) -> vec4f { return ldz_k(i); }
fn value_at(i: i32) -> vec4f { return ldz_v(i); }

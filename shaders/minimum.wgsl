// minimum.  y = min(a, b)
// in a, b: texels   out: texel, element-wise
fn op_minimum(a: vec4f, b: vec4f) -> vec4f { return min(a, b); }

// maximum.  y = max(a, b)
// in a, b: texels   out: texel, element-wise
fn op_maximum(a: vec4f, b: vec4f) -> vec4f { return max(a, b); }

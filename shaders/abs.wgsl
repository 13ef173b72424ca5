// abs.  y = |x|
// in x: texel   out: texel, element-wise
fn op_abs(x: vec4f) -> vec4f { return abs(x); }

// sqrt.  y = sqrt(x)
// in x: texel   out: texel, element-wise
fn op_sqrt(x: vec4f) -> vec4f { return sqrt(x); }

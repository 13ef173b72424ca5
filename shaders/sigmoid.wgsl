// sigmoid.  y = 1 / (1 + exp(-x))
// in x: texel   out: texel, element-wise
fn op_sigmoid(x: vec4f) -> vec4f { return 1.0 / (1.0 + exp(-x)); }

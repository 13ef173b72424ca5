// exp.  y = exp(x)
// in x: texel   out: texel, element-wise
fn op_exp(x: vec4f) -> vec4f { return exp(x); }

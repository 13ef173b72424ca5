// relu.  y = max(x, 0)
// in x: texel   out: texel, element-wise
fn op_relu(x: vec4f) -> vec4f { return max(x, vec4f()); }

// div.  y = a / b
// in a, b: texels   out: texel, element-wise
fn op_div(a: vec4f, b: vec4f) -> vec4f { return a / b; }

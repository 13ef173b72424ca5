// add.  y = a + b
// in a, b: texels   out: texel, element-wise
fn op_add(a: vec4f, b: vec4f) -> vec4f { return a + b; }

// sign.  y = x < 0 ? -1 : x > 0 ? 1 : 0
// in x: texel   out: texel, element-wise
fn op_sign(x: vec4f) -> vec4f { return sign(x); }

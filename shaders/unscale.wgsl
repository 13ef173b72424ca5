// unscale.  y = factor x, zero where factor is zero, whatever x is
// in x, factor: texels   out: texel, element-wise
fn op_unscale(x: vec4f, factor: vec4f) -> vec4f { return select(x * factor, vec4f(), factor == vec4f()); }

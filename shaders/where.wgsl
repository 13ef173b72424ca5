// where.  y = condition != 0 ? a : b
// in condition, a, b: texels   out: texel, element-wise
fn op_where(condition: vec4f, a: vec4f, b: vec4f) -> vec4f { return select(b, a, condition != vec4f()); }

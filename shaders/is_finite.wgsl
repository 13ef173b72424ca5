// is_finite.  y = 1 where x is finite, else 0: the exponent's bits are looked at, as compilers may assume finite numbers
// in x: texel   out: texel, element-wise
fn op_is_finite(x: vec4f) -> vec4f {
  let exponent = vec4u(0x7f800000u);
  return select(vec4f(1.0), vec4f(), (bitcast<vec4u>(x) & exponent) == exponent);
}

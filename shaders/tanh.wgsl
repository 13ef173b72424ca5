// tanh.  y = tanh(x) = sign(x) (1 - e) / (1 + e), e = exp(-2 |x|); near 0 its series
// The built-in may overflow, and the quotient cancels near 0
// in x: texel   out: texel, element-wise
fn op_tanh(x: vec4f) -> vec4f {
  let e = exp(-2.0 * abs(x));
  let s = x * x;
  let p = (((-0.0088632355 * s + 0.021869488) * s - 0.053968254) * s + 0.13333333) * s - 0.33333333;
  return select(sign(x) * (1.0 - e) / (1.0 + e), x + x * s * p, abs(x) < vec4f(0.35));
}

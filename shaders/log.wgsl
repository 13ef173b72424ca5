// log.  y = log(x); minus infinity at 0, no number below: WGSL leaves these open, and SwiftShader has finite numbers there
// in x: texel   out: texel, element-wise
fn op_log(x: vec4f) -> vec4f {
  let bits = bitcast<vec4u>(x);
  let outside = select(sqrt(x), -1.0 / abs(x), (bits << vec4u(1u)) == vec4u());
  return select(outside, log(x), bits - 1u < vec4u(0x7f800000u));
}

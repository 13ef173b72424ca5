// wing_grad.  ds = dy / (2 d) (omega / (epsilon + d) where d < omega, else 1), zero where d^2 < 1e-6
// in s: texel of squared distances, dy: texel, omega, epsilon: numbers   out ds: texel, element-wise
fn op_wing_grad(s: vec4f, dy: vec4f, omega: f32, epsilon: f32) -> vec4f {
  let d = sqrt(max(s, vec4f(1e-6)));
  let slope = select(vec4f(1.0), omega / (epsilon + d), d < vec4f(omega));
  return select(0.5 * dy / d * slope, vec4f(), s < vec4f(1e-6));
}

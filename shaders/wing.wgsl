// wing.  y = omega log(1 + d / epsilon) where d < omega, else d - C, with d = sqrt(max(s, 1e-6)); continuous at omega
// in s: texel of squared distances, omega, epsilon: numbers   out: texel, element-wise
// source: arXiv 1711.06753, equation 5
fn op_wing(s: vec4f, omega: f32, epsilon: f32) -> vec4f {
  let d = sqrt(max(s, vec4f(1e-6)));
  let c = omega - omega * log(1.0 + omega / epsilon);
  return select(d - c, omega * log(1.0 + d / epsilon), d < vec4f(omega));
}

// awing_grad.  dx = dy sign(x - t) (omega p r^(p - 1) / (epsilon (1 + r^p)), r = min(d, theta) / epsilon, p = alpha - t
// in x, t, dy: texels, omega, theta, epsilon, alpha: numbers   out dx: texel, element-wise
// The line beyond theta has the slope of the curve at theta.
fn op_awing_grad(x: vec4f, t: vec4f, dy: vec4f, omega: f32, theta: f32, epsilon: f32, alpha: f32) -> vec4f {
  let p = alpha - t;
  let r = max(min(abs(x - t), vec4f(theta)) / epsilon, vec4f(1e-20));
  return dy * sign(x - t) * omega * p * pow(r, p - 1.0) / (epsilon * (1.0 + pow(r, p)));
}

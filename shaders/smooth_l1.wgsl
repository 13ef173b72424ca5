// smooth_l1.  y = s / (2 beta) where s < beta^2, else sqrt(s) - beta / 2
// in s: texel of squared distances, beta: number   out: texel, element-wise
fn op_smooth_l1(s: vec4f, beta: f32) -> vec4f {
  return select(sqrt(s) - 0.5 * beta, s * (0.5 / beta), s < vec4f(beta * beta));
}

// silu_grad.  dx = dy s (1 + x (1 - s)), s = 1 / (1 + exp(-x))
// in x, dy: texels   out dx: texel, element-wise
fn op_silu_grad(x: vec4f, dy: vec4f) -> vec4f {
  let s = 1.0 / (1.0 + exp(-x));
  return dy * s * (1.0 + x * (1.0 - s));
}

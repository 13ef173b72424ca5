// smooth_l1_grad.  ds = dy / (2 max(sqrt(s), beta))
// in s, dy: texels, beta: number   out ds: texel, element-wise
fn op_smooth_l1_grad(s: vec4f, dy: vec4f, beta: f32) -> vec4f { return 0.5 * dy / max(sqrt(s), vec4f(beta)); }

// clip_factor.  y = min(1, max_norm / (sqrt(x) + 1e-6)), x the squared norm
// in x: texel, max_norm: number   out: texel, element-wise
// source: torch.nn.utils.clip_grad_norm_
fn op_clip_factor(x: vec4f, max_norm: f32) -> vec4f { return min(vec4f(1.0), max_norm / (sqrt(x) + 1e-6)); }

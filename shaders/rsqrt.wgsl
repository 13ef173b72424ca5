// rsqrt.  y = 1 / sqrt(x + eps)
// in x: texel, eps: number   out: texel, element-wise; not inverseSqrt, which may be a coarse estimate
fn op_rsqrt(x: vec4f, eps: f32) -> vec4f { return 1.0 / sqrt(x + eps); }

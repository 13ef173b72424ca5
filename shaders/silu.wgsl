// silu.  y = x / (1 + exp(-x))
// in x: texel   out: texel, element-wise
// source: arXiv 1702.03118
fn op_silu(x: vec4f) -> vec4f { return x / (1.0 + exp(-x)); }

// clamp.  y = min(max(x, low), high)
// in x: texel, low, high: numbers   out: texel, element-wise
fn op_clamp(x: vec4f, low: f32, high: f32) -> vec4f { return clamp(x, vec4f(low), vec4f(high)); }

// step.  y = x > at ? 1 : 0
// in x: texel, at: number   out: texel, element-wise
fn op_step(x: vec4f, at: f32) -> vec4f { return select(vec4f(), vec4f(1.0), x > vec4f(at)); }

// expand.  y = x, repeated along dimensions of size 1 (the planner broadcasts the operand)
// in x: texel   out: texel, element-wise
fn op_expand(x: vec4f) -> vec4f { return x; }

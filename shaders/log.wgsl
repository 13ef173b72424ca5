// log.  y = log(x)
// in x: texel   out: texel, element-wise
fn op_log(x: vec4f) -> vec4f { return log(x); }

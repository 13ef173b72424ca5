// affine.  y = x * factor + offset
// in x: texel, factor, offset: numbers   out: texel, element-wise
fn op_affine(x: vec4f, factor: f32, offset: f32) -> vec4f { return x * factor + offset; }

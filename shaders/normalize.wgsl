// normalize.  y = (x - mean) * scale + shift; the difference first, which is exact where the mean is large
// in x, mean, scale, shift: texels   out: texel, element-wise
fn op_normalize(x: vec4f, mean: vec4f, scale: vec4f, shift: vec4f) -> vec4f { return (x - mean) * scale + shift; }

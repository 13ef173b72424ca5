// random_uniform.  y = uniforms of [0, 1), element i is word i of the step
// in step: [4]   out y: any shape
// grid: one invocation per texel, see _philox.wgsl
fn block(index: i32) -> vec4f { return uniforms(index); }

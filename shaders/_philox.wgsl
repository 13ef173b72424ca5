// philox.  Four random words of block `index` of a step: Philox 4x32-10, the counters of engine/rng.ts
// in step: [4], the 16-bit quarters of the step's number, lowest first   u.k0, u.k1: the key
// source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"
fn mul_high(a: u32, b: u32) -> u32 {
  let al = a & 0xffffu;
  let ah = a >> 16u;
  let bl = b & 0xffffu;
  let bh = b >> 16u;
  let middle = ah * bl + ((al * bl) >> 16u);
  let carry = al * bh + (middle & 0xffffu);
  return ah * bh + (middle >> 16u) + (carry >> 16u);
}

fn philox(index: i32) -> vec4u {
  let quarters = vec4u(ld_step(0));
  var c = vec4u(u32(index), quarters.x | (quarters.y << 16u), quarters.z | (quarters.w << 16u), 0u);
  var k = vec2u(bitcast<u32>(u.k0), bitcast<u32>(u.k1));
  for (var round = 0; round < 10; round++) {
    let high = vec2u(mul_high(0xd2511f53u, c.x), mul_high(0xcd9e8d57u, c.z));
    c = vec4u(high.y ^ c.y ^ k.x, 0xcd9e8d57u * c.z, high.x ^ c.w ^ k.y, 0xd2511f53u * c.x);
    k += vec2u(0x9e3779b9u, 0xbb67ae85u);
  }
  return c;
}

// Uniforms from the top 24 bits, exact in f32.
fn uniforms(index: i32) -> vec4f { return vec4f(philox(index) >> vec4u(8u)) * 5.9604644775390625e-8; }

// Elements are counted without padding, so that a texel may begin inside a block.
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let row = quotient(t, u.C4);
  let first = row * u.C + 4 * (t - row * u.C4);
  let inside = first & 3;
  let a = block(first >> 2u);
  if (inside == 0) {
    st_y(t, a);
    return;
  }
  let b = block((first >> 2u) + 1);
  var v = vec4f();
  for (var lane = 0; lane < 4; lane++) {
    let e = inside + lane;
    v[lane] = select(a[e & 3], b[e & 3], e > 3);
  }
  st_y(t, v);
}

// awing.  y = omega log(1 + (d / epsilon)^p) where d < theta, else A d - C, with d = |x - t|, p = alpha - t
// in x, t: texels, omega, theta, epsilon, alpha: numbers   out: texel, element-wise
// source: arXiv 1904.07399, equations 3 to 5
fn op_awing(x: vec4f, t: vec4f, omega: f32, theta: f32, epsilon: f32, alpha: f32) -> vec4f {
  let d = abs(x - t);
  let p = alpha - t;
  let ratio = vec4f(theta / epsilon);
  let q = pow(ratio, p);
  let slope = omega / (1.0 + q) * p * pow(ratio, p - 1.0) / epsilon;
  // log(1 + z) loses the digits of a small z
  let z = pow(max(d / epsilon, vec4f(1e-20)), p);
  let log1p = select(log(1.0 + z), z * (1.0 - z * (0.5 - z / 3.0)), z < vec4f(0.01));
  return select(slope * (d - theta) + omega * log(1.0 + q), omega * log1p, d < vec4f(theta));
}

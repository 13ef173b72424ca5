// gelu_grad.  dx = dy (cdf(x) + x exp(-x^2 / 2) / sqrt(2 pi)), cdf = (1 + erf(x / sqrt(2))) / 2
// in x, dy: texels   out: texel, element-wise
// source of the rational erf: XLA, ErfImpl32; arXiv 1606.08415
fn op_gelu_grad(x: vec4f, dy: vec4f) -> vec4f {
  let z = clamp(x * 0.70710678, vec4f(-4.0), vec4f(4.0));
  let s = z * z;
  let p = (((((-2.72614225801306e-10 * s + 2.77068142495902e-08) * s - 2.10102402082508e-06) * s
    - 5.69250639462346e-05) * s - 7.34990630326855e-04) * s - 2.95459980854025e-03) * s - 1.60960333262415e-02;
  let q = (((-1.45660718464996e-05 * s - 2.13374055278905e-04) * s - 1.68282697438203e-03) * s
    - 7.37332916720468e-03) * s - 1.42647390514189e-02;
  let cdf = 0.5 + 0.5 * z * p / q;
  return dy * (cdf + x * exp(-0.5 * x * x) * 0.39894228);
}

// conv2d_backward_weight.  df[s, kh, kw, i, o] = sum over the s-th part of the rows (n, ho) and over wo of
// x[n, S ho + kh - pad_top, S wo + kw - pad_left, i] dy[n, ho, wo, o]
// in x: [N, H, W, I]   in dy: [N, HO, WO, O]   out df: [parts, KH, KW, I, O]
// grid: one invocation per part, kh, 4 input channels and 4 output channels; all kw taps in registers; no im2col
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let o = t % u.O4;
  var rest = t / u.O4;
  let i = rest % u.I4;
  rest = rest / u.I4;
  let kh = rest % $(KH);
  let part = rest / $(KH);
  //@ for k in KW
  //@ for j in 4
  var c$(k)_$j = vec4f();
  //@ end
  //@ end
  let last = min((part + 1) * u.step, u.rows);
  for (var row = part * u.step; row < last; row++) {
    let n = row / u.HO;
    let h = (row - n * u.HO) * $(S) + kh - u.pad_top;
    if (h < 0 || h >= u.H) { continue; }
    let xb = (n * u.H + h) * u.W * u.I4 + i;
    let yb = row * u.WO * u.O4 + o;
    for (var w = 0; w < u.WO; w += $(P)) {
      let left = w * $(S) - u.pad_left;
      //@ for j in (P - 1) * S + KW
      let x$j = ldz_x(select(-1, xb + (left + $j) * u.I4, left + $j >= 0 && left + $j < u.W));
      //@ end
      //@ for p in P
      let y$p = ldz_dy(select(-1, yb + (w + $p) * u.O4, w + $p < u.WO));
      //@ end
      //@ for k in KW
      //@ for p in P / 4
      c$(k)_0 += x$(4 * p * S + k).x * y$(4 * p) + x$((4 * p + 1) * S + k).x * y$(4 * p + 1) + x$((4 * p + 2) * S + k).x * y$(4 * p + 2) + x$((4 * p + 3) * S + k).x * y$(4 * p + 3);
      c$(k)_1 += x$(4 * p * S + k).y * y$(4 * p) + x$((4 * p + 1) * S + k).y * y$(4 * p + 1) + x$((4 * p + 2) * S + k).y * y$(4 * p + 2) + x$((4 * p + 3) * S + k).y * y$(4 * p + 3);
      c$(k)_2 += x$(4 * p * S + k).z * y$(4 * p) + x$((4 * p + 1) * S + k).z * y$(4 * p + 1) + x$((4 * p + 2) * S + k).z * y$(4 * p + 2) + x$((4 * p + 3) * S + k).z * y$(4 * p + 3);
      c$(k)_3 += x$(4 * p * S + k).w * y$(4 * p) + x$((4 * p + 1) * S + k).w * y$(4 * p + 1) + x$((4 * p + 2) * S + k).w * y$(4 * p + 2) + x$((4 * p + 3) * S + k).w * y$(4 * p + 3);
      //@ end
      //@ end
    }
  }
  //@ for k in KW
  //@ for j in 4
  if (4 * i + $j < u.I) { st_df((((part * $(KH) + kh) * $(KW) + $k) * u.I + 4 * i + $j) * u.O4 + o, c$(k)_$j); }
  //@ end
  //@ end
}

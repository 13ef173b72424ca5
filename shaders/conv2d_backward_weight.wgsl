// conv2d_backward_weight.  df[s, kh, kw, i, o] = sum over the s-th part of the rows (n, ho) and over wo of
// x[n, S ho + kh - pad_top, S wo + kw - pad_left, i] dy[n, ho, wo, o]
// in x: [N, H, W, I]   in dy: [N, HO, WO, O]   out df: [parts, KH, KW, I, O]
// grid: one invocation per part, kh, 4 R input and 4 R output channels; all kw taps in registers; no im2col
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let o = t % u.o_tiles * $(R);
  var rest = t / u.o_tiles;
  let i = rest % u.i_tiles * $(R);
  rest = rest / u.i_tiles;
  let kh = rest % $(KH);
  let part = rest / $(KH);
  //@ for r in R
  //@ for q in R
  //@ for k in KW
  //@ for j in 4
  var c$(r)_$(q)_$(k)_$j = vec4f();
  //@ end
  //@ end
  //@ end
  //@ end
  let first = part * u.step;
  let last = min(first + u.step, u.rows);
  // Counted on, as a division costs as much as two loads.
  var n = first / u.HO;
  var ho = first - n * u.HO - 1;
  for (var row = first; row < last; row++) {
    ho++;
    if (ho == u.HO) { ho = 0; n++; }
    let h = ho * $(S) + kh - u.pad_top;
    if (h < 0 || h >= u.H) { continue; }
    let xb = (n * u.H + h) * u.W * u.I4 + i;
    let yb = row * u.WO * u.O4 + o;
    for (var w = 0; w < u.WO; w += 4) {
      let left = w * $(S) - u.pad_left;
      //@ for q in R
      //@ for p in 4
      let y$(q)_$p = ldz_dy(select(-1, yb + $q + (w + $p) * u.O4, w + $p < u.WO));
      //@ end
      //@ end
      //@ for r in R
      {
        //@ for j in 3 * S + KW
        let x$j = ldz_x(select(-1, xb + $r + (left + $j) * u.I4, left + $j >= 0 && left + $j < u.W));
        //@ end
        //@ for q in R
        //@ for k in KW
        c$(r)_$(q)_$(k)_0 += x$(k).x * y$(q)_0 + x$(S + k).x * y$(q)_1 + x$(2 * S + k).x * y$(q)_2 + x$(3 * S + k).x * y$(q)_3;
        c$(r)_$(q)_$(k)_1 += x$(k).y * y$(q)_0 + x$(S + k).y * y$(q)_1 + x$(2 * S + k).y * y$(q)_2 + x$(3 * S + k).y * y$(q)_3;
        c$(r)_$(q)_$(k)_2 += x$(k).z * y$(q)_0 + x$(S + k).z * y$(q)_1 + x$(2 * S + k).z * y$(q)_2 + x$(3 * S + k).z * y$(q)_3;
        c$(r)_$(q)_$(k)_3 += x$(k).w * y$(q)_0 + x$(S + k).w * y$(q)_1 + x$(2 * S + k).w * y$(q)_2 + x$(3 * S + k).w * y$(q)_3;
        //@ end
        //@ end
      }
      //@ end
    }
  }
  //@ for r in R
  //@ for k in KW
  //@ for j in 4
  if (4 * (i + $r) + $j < u.I) {
    let at = (((part * $(KH) + kh) * $(KW) + $k) * u.I + 4 * (i + $r) + $j) * u.O4 + o;
    //@ for q in R
    if (o + $q < u.O4) { st_df(at + $q, c$(r)_$(q)_$(k)_$j); }
    //@ end
  }
  //@ end
  //@ end
  //@ end
}

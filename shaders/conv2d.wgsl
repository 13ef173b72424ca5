// conv2d, direct.  y[n, h, w, o] = sum over kh, kw, i of x[n, S h + kh - pad_top, S w + kw - pad_left, i] f[kh, kw, i, o]
// in x: [N, H, W, I]   in f: [KH, KW, I, O]   out y: [N, HO, WO, O]
// grid: one invocation per P pixels of a row x 4 output channels; lanes along the output channels
// The KW taps share the loaded pixels; an accumulator's chain of 4 products is one statement (docs/speed.md)
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let o = t % u.O4;
  let tile = t / u.O4;
  let row = tile / u.w_tiles;
  let w0 = (tile % u.w_tiles) * $(P);
  let n = row / u.HO;
  let h0 = (row % u.HO) * $(S) - u.pad_top;
  let x0 = w0 * $(S) - u.pad_left;
  //@ for p in P
  var c$p = vec4f();
  //@ end
  for (var kh = 0; kh < $(KH); kh++) {
    let h = h0 + kh;
    if (h < 0 || h >= u.H) { continue; }
    let xb = ((n * u.H + h) * u.W + x0) * u.I4;
    //@ for j in (P - 1) * S + KW
    let o$j = select(-1000000000, xb + $j * u.I4, x0 + $j >= 0 && x0 + $j < u.W);
    //@ end
    let fb = kh * $(KW) * u.I * u.O4 + o;
    for (var i = 0; i < u.I4; i++) {
      //@ for j in (P - 1) * S + KW
      let x$j = ldz_x(o$j + i);
      //@ end
      //@ for k in KW
      {
        let f = fb + ($k * u.I + 4 * i) * u.O4;
        let m = mat4x4f(ld_f(f), ld_f(f + u.O4), ld_f(f + 2 * u.O4), ld_f(f + 3 * u.O4));
        //@ for p in P
        c$p += m * x$(p * S + k);
        //@ end
      }
      //@ end
    }
  }
  let y0 = (row * u.WO + w0) * u.O4 + o;
  //@ for p in P
  if (w0 + $p < u.WO) { st_y(y0 + $p * u.O4, c$p); }
  //@ end
}

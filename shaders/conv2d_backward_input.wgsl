// conv2d_backward_input.  dx[n, h, w, i] = sum over kh, kw, o of dy[n, (h + pad_top - kh) / S, (w + pad_left - kw) / S, o] f[kh, kw, i, o]
// where the divisions leave no rest
// in dy: [N, HO, WO, O]   in f: [KH, KW, I, O], neither flipped nor transposed   out dx: [N, H, W, I]
// grid: one invocation per P pixels of a row x 4 input channels.  A: y0 mod S, where P is a multiple of S
// Which columns of dy and which taps a pixel has is known by A, so that no product with nothing is computed
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let i = t % u.I4;
  let tile = t / u.I4;
  let row = tile / u.w_tiles;
  let w0 = (tile % u.w_tiles) * $(P);
  let n = row / u.H;
  let h0 = row % u.H + u.pad_top;
  let y0 = w0 + u.pad_left - $(KW - 1);
  //@ for p in P
  var c$p = vec4f();
  //@ end
  for (var kh = h0 % $(S); kh < $(KH); kh += $(S)) {
    let h = (h0 - kh) / $(S);
    if (kh > h0 || h >= u.HO) { continue; }
    let yb = (n * u.HO + h) * u.WO;
    //@ for j in P + KW - 1
    //@ for hit in (A + j + S) / S * S / (A + j + S)
    let o$j = select(-1000000000, (yb + (y0 + $j) / $(S)) * u.O4, y0 + $j >= 0 && (y0 + $j) / $(S) < u.WO);
    //@ end
    //@ end
    let fb = (kh * $(KW) * u.I + 4 * i) * u.O4;
    for (var o = 0; o < u.O4; o++) {
      //@ for j in P + KW - 1
      //@ for hit in (A + j + S) / S * S / (A + j + S)
      let y$j = ldz_dy(o$j + o);
      //@ end
      //@ end
      //@ for k in KW
      {
        let f = fb + $k * u.I * u.O4 + o;
        let m = mat4x4f(ld_f(f), ld_f(f + u.O4), ld_f(f + 2 * u.O4), ld_f(f + 3 * u.O4));
        //@ for p in P
        //@ for hit in (A + p + KW - 1 - k + S) / S * S / (A + p + KW - 1 - k + S)
        c$p += y$(p + KW - 1 - k) * m;
        //@ end
        //@ end
      }
      //@ end
    }
  }
  let x0 = (row * u.W + w0) * u.I4 + i;
  //@ for p in P
  if (w0 + $p < u.W) { st_dx(x0 + $p * u.I4, c$p); }
  //@ end
}

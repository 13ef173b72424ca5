// im2col.  y[n, ho, wo, (kh KW + kw) I + i] = x[n, S ho + kh - pad_top, S wo + kw - pad_left, i]
// in x: [N, H, W, I]   out y: [N, HO, WO, KH KW I]
// grid: one invocation per pixel of y
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let row = quotient(t, u.WO);
  let n = quotient(row, u.HO);
  let h = (row - n * u.HO) * $(S) - u.pad_top;
  let w = (t - row * u.WO) * $(S) - u.pad_left;
  //@ for b in KW
  let o$b = select(-1000000000, $(b * I4), w + $b >= 0 && w + $b < u.W);
  //@ end
  //@ for a in KH
  let r$a = select(-1000000000, ((n * u.H + h + $a) * u.W + w) * $(I4), h + $a >= 0 && h + $a < u.H);
  //@ for b in KW
  //@ for c in I4
  let x$(a)_$(b)_$c = ldz_x(r$a + o$b + $c);
  //@ end
  //@ for i in I
  let e$((a * KW + b) * I + i) = x$(a)_$(b)_$(i / 4)[$(i - i / 4 * 4)];
  //@ end
  //@ end
  //@ end
  // These fill the last texel.
  //@ for z in 3
  let e$(KH * KW * I + z) = 0.0;
  //@ end
  let y0 = t * $(K4);
  //@ for k in K4
  st_y(y0 + $k, vec4f(e$(4 * k), e$(4 * k + 1), e$(4 * k + 2), e$(4 * k + 3)));
  //@ end
}

// add_squares.  y[t] = a[t] + sum over k of sum over i = t mod T of x_k[i]^2, lane by lane
// in a: [T, 4]   in x_k: any shapes, n_k texels   out y: [T, 4]
// grid: one invocation per texel of y; strided, so that neighbours read neighbours.  X: number of x_k
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  var total = ld_a(t);
  //@ for k in X
  {
    var part = vec4f();
    for (var i = t; i < u.n$k; i += u.threads) {
      let x = ld_x$k(i);
      part += x * x;
    }
    total += part;
  }
  //@ end
  st_y(t, total);
}

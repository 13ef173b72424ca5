// embedding_grad.  dtable[v, c] = sum of dy[r, c] over the r with ids[r] = v
// in ids: [M, L] as f32   in dy: [M, L, C]   out dtable: [V, C]
// grid: one invocation per texel of dtable, which searches all ids: no atomics, and the order of the sum is fixed
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let v = t / u.C4;
  let c = t - v * u.C4;
  var total = vec4f();
  for (var m = 0; m < u.M; m++) {
    for (var l4 = 0; l4 < u.L4; l4++) {
      let hit = clamp(vec4i(round(ld_ids(m * u.L4 + l4))), vec4i(0), vec4i(u.V - 1)) == vec4i(v);
      if (!any(hit)) { continue; }
      for (var lane = 0; lane < min(4, u.L - 4 * l4); lane++) {
        if (hit[lane]) { total += ld_dy((m * u.L + 4 * l4 + lane) * u.C4 + c); }
      }
    }
  }
  st_dtable(t, total);
}

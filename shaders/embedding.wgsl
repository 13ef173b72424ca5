// embedding.  y[r, c] = table[ids[r], c]
// in table: [V, C]   in ids: [..., L] as f32   out y: [..., L, C]
// grid: one invocation per output texel
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let t = thread(id);
  if (t >= u.threads) { return; }
  let r = t / u.C4;
  let l = r % u.L;
  let token = clamp(i32(round(ld_ids(r / u.L * u.L4 + l / 4)[l % 4])), 0, u.V - 1);
  st_y(t, ld_table(token * u.C4 + t - r * u.C4));
}

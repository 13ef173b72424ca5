// sum, tiled.  y[a, s, c] = sum over the s-th part of b of x[a, b, c]
// in x: [A, S step, C]   out y: [A, S, C], rows = A S of them; c counts texels
// grid: one workgroup per COLS texels of a row of y; ROWS invocations sum a texel, and a tree in workgroup memory their sums
var<workgroup> sums: array<vec4f, $(ROWS * COLS)>;

@compute @workgroup_size(WG)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let block = i32(group.x + group.y * groups.x);
  let lane = i32(index);
  let blocks = (u.C4 + $(COLS - 1)) / $(COLS);
  let row = block / blocks;
  let c = (block - row * blocks) * $(COLS) + lane % $(COLS);
  let inside = row < u.rows && c < u.C4;
  var total = vec4f();
  if (inside) {
    for (var b = lane / $(COLS); b < u.step; b += $(ROWS)) { total += ld_x((row * u.step + b) * u.C4 + c); }
  }
  sums[lane] = total;
  workgroupBarrier();
  for (var n = $(ROWS * COLS / 2); n >= $(COLS); n = n / 2) {
    if (lane < n) { sums[lane] += sums[lane + n]; }
    workgroupBarrier();
  }
  if (lane < $(COLS) && inside) { st_y(row * u.C4 + c, sums[lane]); }
}

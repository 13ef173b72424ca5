// sum, tiled.  y_n[row, c] = sum over b of x_n[row, b, c]
// in x_n: [rows, step_n, C4_n]   out y_n: [rows, C4_n]; c counts texels, N tensors
// grid: workgroups from first_n until end_n for tensor n, one per COLS texels of a row of y_n; ROWS invocations sum a texel,
// and a tree in workgroup memory their sums
var<workgroup> sums: array<vec4f, $(ROWS * COLS)>;

@compute @workgroup_size(WG)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let block = i32(group.x + group.y * groups.x);
  let lane = i32(index);
  var total = vec4f();
  // The texel of y, or none.
  var at = -1;
  //@ for n in N
  if (block >= u.first$n && block < u.end$n) {
    let blocks = (u.C4_$n + $(COLS - 1)) / $(COLS);
    let row = (block - u.first$n) / blocks;
    let c = (block - u.first$n - row * blocks) * $(COLS) + lane % $(COLS);
    if (c < u.C4_$n) {
      at = row * u.C4_$n + c;
      for (var b = lane / $(COLS); b < u.step$n; b += $(ROWS)) { total += ld_x$n((row * u.step$n + b) * u.C4_$n + c); }
    }
  }
  //@ end
  sums[lane] = total;
  workgroupBarrier();
  for (var n = $(ROWS * COLS / 2); n >= $(COLS); n = n / 2) {
    if (lane < n) { sums[lane] += sums[lane + n]; }
    workgroupBarrier();
  }
  if (lane >= $(COLS) || at < 0) { return; }
  //@ for n in N
  if (block >= u.first$n && block < u.end$n) { st_y$n(at, sums[lane]); }
  //@ end
}

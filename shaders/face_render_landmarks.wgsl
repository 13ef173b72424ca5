// The 68 landmarks of each head on the screen. Follows face_render_head.wgsl.
// out points: [faces, 68] of (x, y) in screen units, before the crop
// grid: one invocation a landmark, workgroup (68 points, face)
@group(0) @binding(1) var<storage, read_write> points: array<vec2f>;

fn project(p: vec3f) -> vec2f {
  let c = to_camera(p);
  return c.xy * camera.x / (camera.x - c.z);
}
// Drops a point of the face plane onto the skin along -z.
fn onto_skin(p: vec2f) -> vec3f {
  var q = vec3f(p, 0.75);
  for (var i = 0; i < 64; i++) {
    let d = skin(q);
    q.z -= max(d * 0.7, 0.0015);
    if (d < 0.001) { break; }
  }
  q.z = max(q.z, slice(p.y).w); // beside the head: its widest place
  return q;
}
// A point of the jaw: t = 0 is the edge of the bone, t = 1 the middle of the face at that height.
fn jaw_path(side: f32, y: f32, rise: f32, t: f32) -> vec3f {
  let yt = min(y - rise * t, limits.y - 0.012);
  let s = slice(yt);
  let a = 1.5707963 * (1.0 - t);
  let out = vec3f(side * sqrt(s.x) * sin(a), 0.0, sqrt(s.y) * cos(a));
  let unit = out / max(length(out), 1e-4);
  var p = vec3f(0.0, yt, s.w) + out;
  for (var i = 0; i < 5; i++) { p -= unit * skin(p) * 0.9; }
  return p;
}
fn faces_away(p: vec3f) -> bool {
  let eye = to_head(vec3f(0.0, 0.0, camera.x));
  return dot(skin_normal(p), eye - p) < 0.0;
}
// The annotators' rule: the edge of the jaw where it is seen, the outline of the cheek where it is hidden.
fn jaw_landmark(i: i32) -> vec3f {
  let k = min(i, 16 - i);
  let levels = texel(39 + k / 4);
  let level = select(select(levels.x, levels.y, k % 4 == 1), select(levels.z, levels.w, k % 4 == 3), k % 4 >= 2);
  let y = select(level, limits.y, k == 8);
  let side = select(select(0.0, 1.0, i > 8), -1.0, i < 8);
  let rise = 0.32 * smoothstep(4.0, 8.0, f32(k));
  var low = 0.0;
  var high = 1.0;
  for (var n = 0; n < 24; n++) {
    high = f32(n) / 24.0;
    if (!faces_away(jaw_path(side, y, rise, high))) { break; }
    low = high;
  }
  for (var n = 0; n < 6; n++) {
    let mid = (low + high) * 0.5;
    if (faces_away(jaw_path(side, y, rise, mid))) { low = mid; } else { high = mid; }
  }
  return jaw_path(side, y, rise, high);
}
fn eye_landmark(corners: vec4f, lids: vec4f, k: i32) -> vec2f { // k from the outer corner over the upper lid
  let s = select(select(0.32, 0.69, k == 2 || k == 4), select(0.0, 1.0, k == 3), k == 0 || k == 3);
  let h = lid_heights(lids, s);
  return eye_point(corners, s, select(h.x, -h.y, k > 3) * select(1.0, 0.0, k == 0 || k == 3));
}
fn mouth_landmark(k: i32) -> vec2f { // k from 0, the left corner, as 48 to 67
  if (k < 12) {
    let upper = k <= 6;
    let i = select(12 - k, k, upper);
    let left = f32(i - 3);
    let wide = select(vec3f(0.28, 0.66, 1.0), vec3f(0.25, 0.62, 1.0), upper);
    let u = sign(left) * select(select(wide.x, wide.y, abs(left) > 1.5), wide.z, abs(left) > 2.5) * min(abs(left), 1.0);
    let e = lip_edges(u);
    return mouth_point(u, select(e.w, e.x, upper));
  }
  let i = k - 12;
  let upper = i <= 4;
  let left = f32(select(8 - i, i, upper) - 2);
  let u = sign(left) * select(0.27, 0.86, abs(left) > 1.5) * min(abs(left), 1.0);
  let e = lip_edges(u);
  return mouth_point(u, select(e.z, e.y, upper));
}

@compute @workgroup_size(8)
fn landmarks(@builtin(global_invocation_id) id: vec3u) {
  let i = i32(id.x);
  if (i >= 68 || id.y >= textureDimensions(params).y) { return; }
  load_head(i32(id.y));
  var p: vec3f;
  if (i < 17) {
    p = jaw_landmark(i);
  } else if (i < 22) {
    p = onto_skin(brow_point(brow_left, arch.x, f32(i - 17) * 0.25));
  } else if (i < 27) {
    p = onto_skin(brow_point(brow_right, arch.y, f32(26 - i) * 0.25));
  } else if (i < 31) {
    p = onto_skin(vec2f(0.0, mix(nose_line.x - 0.01, nose_line.z - 0.01, f32(i - 27) / 3.0)));
  } else if (i < 36) {
    let k = f32(i - 33) * 0.5;
    p = onto_skin(vec2f(k * (nose_wing.y + nose_wing.w * 0.75), nose_base.w - 0.05 * k * k));
  } else if (i < 42) {
    p = onto_skin(eye_landmark(eye_left, lids_left, i - 36));
  } else if (i < 48) { // 42 is the inner corner
    p = onto_skin(eye_landmark(eye_right, lids_right, select(select(45 - i, 51 - i, i > 45), 0, i == 45)));
  } else {
    p = onto_skin(mouth_landmark(i - 48));
  }
  points[i32(id.y) * 68 + i] = project(p);
}

// Points of each head on the screen from which the 68 landmarks follow. Follows face_render_head.wgsl.
// out points: [faces, CURVE_POINTS] of (x, y) in screen units, before the crop; the order of faces/render/landmarks.ts:
//   the outline from the left eye over the chin to the right eye, the brows from left to right, landmarks 27 to 67
// grid: one invocation a point, workgroup (8 points, face)
const JAW_STEPS: i32 = 32; // on each side of the chin
const BROW_STEPS: i32 = 16;
const BROWS_AT: i32 = 2 * JAW_STEPS + 1;
const FEATURES_AT: i32 = BROWS_AT + 2 * (BROW_STEPS + 1);
const CURVE_POINTS: i32 = FEATURES_AT + 41;
@group(0) @binding(1) var<storage, read_write> points: array<vec2f>;
// true: where 300-W's annotators put eye corners, brows, nose and corners of the mouth; false: the ends of the lids, the middle of the brows
override annotated: bool = true;

// Where a point of the plain head is seen.
fn project(p: vec3f) -> vec2f {
  let c = to_camera(bend(p));
  return c.xy * camera.x / (camera.x - c.z);
}
// Drops a point of the face plane onto the skin along -z.
fn onto_skin(p: vec2f) -> vec3f {
  var q = vec3f(p, max(0.75, nose_line.w + 0.1));
  for (var i = 0; i < 64; i++) {
    let d = skin(q);
    q.z -= max(d * 0.7, 0.0015);
    if (d < 0.001) { break; }
  }
  q.z = max(q.z, slice(p.y).w); // beside the head: its widest place
  return q;
}
// Height of a place on the rim of the jaw: k from 0 (beside the eye) over 7 (beside the chin) to 8 (the chin).
fn rim_height(k: f32) -> f32 {
  let levels = array<f32, 9>(
    texel(JAW_AT).x, texel(JAW_AT).y, texel(JAW_AT).z, texel(JAW_AT).w, texel(JAW_AT + 1).x, texel(JAW_AT + 1).y, texel(JAW_AT + 1).z, texel(JAW_AT + 1).w, limits.y,
  );
  let i = min(i32(k), 7);
  return mix(levels[i], levels[i + 1], k - f32(i));
}
// A path over the skin from the rim of the jaw at k (t = 0) to the middle of the face (t = 1).
fn jaw_path(side: f32, k: f32, t: f32) -> vec3f {
  let a = 1.5707963 * (1.0 - t);
  if (k <= 6.0) { // round the slice at that height
    let far = max(side * row_x.z, 0.0); // on the side turned away annotators begin a little lower
    let y = rim_height(k) + 0.10 * far * (1.0 - k / 6.0) - 0.32 * smoothstep(4.0, 8.0, k) * t;
    let s = slice(y);
    let out = vec3f(side * sqrt(s.x) * sin(a), 0.0, sqrt(s.y) * cos(a));
    let unit = out / max(length(out), 1e-4);
    var p = vec3f(0.0, y, s.w) + out;
    for (var i = 0; i < 5; i++) { p -= unit * skin(p) * 0.9; }
    return p;
  }
  // round the chin, seen from its inside
  let y = rim_height(6.0);
  let s = slice(y);
  let inside = vec3f(0.0, limits.y - 0.33, s.w);
  let turn = (8.0 - k) * 0.5 * atan2(sqrt(s.x), y - inside.y);
  let ahead = (k - 6.0) * 0.5 * (0.02 - s.w);
  let rim = normalize(vec3f(side * sin(turn), cos(turn), ahead / 0.33));
  let way = normalize(rim * sin(a) + vec3f(0.0, 0.0, cos(a)));
  var r = 0.9;
  for (var i = 0; i < 14; i++) { r -= skin(inside + way * r) * 0.8; }
  return inside + way * r;
}
// How far a side of the head is turned away, 0 to 1.
fn turned(side: f32) -> f32 { return smoothstep(0.1, 0.5, side * row_x.z); }
fn faces_away(p: vec3f) -> bool {
  let eye = to_head(vec3f(0.0, 0.0, camera.x));
  let seen = bend(p);
  return dot(skin_normal(seen), eye - seen) < 0.0;
}
// The annotators' rule: the edge of the jaw where it is seen, the outline of the cheek where it is hidden; of a turned face
// that some styles draw without an edge of the near cheek, a line before it.
// A point of it, i from 0 (beside the left eye) over the chin to 2 * JAW_STEPS.
fn jaw_point(i: i32) -> vec3f {
  let k = f32(min(i, 2 * JAW_STEPS - i)) * 8.0 / f32(JAW_STEPS);
  let side = f32(sign(i - JAW_STEPS));
  let near = turned(-side) * (1.0 - smoothstep(4.0, 8.0, k));
  let least = select(0.0, texel(LANDMARKS_AT).x * near, annotated);
  var low = least;
  var high = 1.0;
  for (var n = 0; n < 24; n++) {
    high = mix(least, 1.0, f32(n) / 24.0);
    if (!faces_away(jaw_path(side, k, high))) { break; }
    low = high;
  }
  for (var n = 0; n < 6; n++) {
    let mid = (low + high) * 0.5;
    if (faces_away(jaw_path(side, k, mid))) { low = mid; } else { high = mid; }
  }
  return jaw_path(side, k, high);
}
fn eye_landmark(corners: vec4f, lids: vec4f, k: i32) -> vec2f { // k from the outer corner over the upper lid
  // corners where the white of the eye ends, a little inside the ends of the lids
  let s = select(select(0.32, 0.69, k == 2 || k == 4), select(select(0.0, 0.05, annotated), select(1.0, 0.985, annotated), k == 3), k == 0 || k == 3);
  let t = mix(select(0.0, texel(LANDMARKS_AT).y, annotated), 1.0, s);
  let h = lid_heights(lids, t);
  return eye_point(corners, t, select(h.x, -h.y, k > 3) * select(1.0, 0.0, k == 0 || k == 3));
}
// A corner of the lips (u = 1) or of their inner edges, where the red ends for annotators: a little lower than the ends.
fn mouth_corner(side: f32, u: f32) -> vec2f {
  return mouth_point(side * u, lip_edges(u).y + select(0.0, 0.01, annotated));
}
fn mouth_landmark(k: i32) -> vec2f { // k from 0, the left corner, as 48 to 67
  if (k < 12) {
    let upper = k <= 6;
    let i = select(12 - k, k, upper);
    let left = f32(i - 3);
    let wide = select(vec2f(0.28, 0.66), vec2f(0.25, 0.62), upper);
    if (abs(left) > 2.5) { return mouth_corner(sign(left), 0.97); }
    let u = sign(left) * select(wide.x, wide.y, abs(left) > 1.5) * min(abs(left), 1.0);
    let e = lip_edges(u);
    return mouth_point(u, select(e.w, e.x, upper));
  }
  let i = k - 12;
  let upper = i <= 4;
  let left = f32(select(8 - i, i, upper) - 2);
  if (abs(left) > 1.5) { return mouth_corner(sign(left), 0.81); }
  let u = sign(left) * 0.27 * min(abs(left), 1.0);
  let e = lip_edges(u);
  return mouth_point(u, select(e.z, e.y, upper));
}

// A point of the brow's upper edge, which annotators follow from where hair is dense to a little beyond the inner end; s as
// in brow_point().
fn brow_landmark(side: f32, ends: vec4f, height: f32, s: f32) -> vec3f {
  if (!annotated) { return onto_skin(brow_point(ends, height, s)); }
  let t = mix(texel(LANDMARKS_AT).z * (1.0 + turned(side)), 1.0, s) + 0.035;
  return onto_skin(brow_point(ends, height, t) - vec2f(0.0, 0.75 * brow_thick(t) * smoothstep(-0.1, 0.3, t)));
}

// Some styles draw a turned nose as one line, with its tip and the side turned away at the line's lower end.
fn nose_as_line() -> f32 {
  return select(0.0, texel(LANDMARKS_AT).w * turned(sign(row_x.z)), annotated);
}
fn nose_ridge_landmark(t: f32) -> vec3f { // from between the eyes (t = 0) to the tip
  let tip = nose_line.z - 0.008 + 0.5 * nose_wing.x * nose_as_line();
  return onto_skin(vec2f(0.0, mix(nose_line.x + select(-0.01, 0.012, annotated), tip, t)));
}
// A point below the nose, k from -1 (the left wing) to 1.
fn nose_base_landmark(k: f32) -> vec3f {
  let base = vec2f(k * (nose_wing.y + nose_wing.w * select(0.75, 0.6, annotated)), nose_base.w + select(0.0, 0.028, annotated) - 0.04 * k * k);
  let side = sign(row_x.z);
  let far = k * side;
  let line = vec3f(side * 0.6 * nose_base.x, base.y - 0.05 * max(far, 0.0), nose_line.w - 0.5 * nose_wing.x); // below the tip
  return mix(onto_skin(base), line, nose_as_line() * min((1.0 + far) * (1.0 + far), 1.0));
}

@compute @workgroup_size(8)
fn curves(@builtin(global_invocation_id) id: vec3u) {
  let at = i32(id.x);
  if (at >= CURVE_POINTS || id.y >= textureDimensions(params).y) { return; }
  load_head(i32(id.y));
  let i = at - FEATURES_AT + 27; // number of a landmark
  var p: vec3f;
  if (at < BROWS_AT) {
    p = jaw_point(at);
  } else if (at < BROWS_AT + BROW_STEPS + 1) {
    p = brow_landmark(-1.0, brow_left, arch.x, f32(at - BROWS_AT) / f32(BROW_STEPS));
  } else if (at < FEATURES_AT) {
    p = brow_landmark(1.0, brow_right, arch.y, f32(FEATURES_AT - 1 - at) / f32(BROW_STEPS));
  } else if (i < 31) {
    p = nose_ridge_landmark(f32(i - 27) / 3.0);
  } else if (i < 36) {
    p = nose_base_landmark(f32(i - 33) * 0.5);
  } else if (i < 42) {
    p = onto_skin(eye_landmark(eye_left, lids_left, i - 36));
  } else if (i < 48) { // 42 is the inner corner
    p = onto_skin(eye_landmark(eye_right, lids_right, select(select(45 - i, 51 - i, i > 45), 0, i == 45)));
  } else {
    p = onto_skin(mouth_landmark(i - 48));
  }
  points[i32(id.y) * CURVE_POINTS + at] = project(p);
}

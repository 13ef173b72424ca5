// The head as an implicit surface: slices of the skull, bumps of the face, nose, ears, hair, neck, shoulders.
// Follows face_render_params.wgsl. Lengths are in eye widths of the mean face (outer corner to outer corner = 1), x to the
//   right of the image, y down, z to the camera.
// Both entry points use this file, so that landmarks are computed from the very surface and curves that are drawn.

// true: with what is worn or held; pipelines for heads without it have no code for it, as not all drivers pass over it
override worn: bool = true;

var<private> camera: vec4f; // distance, screen units a pixel, centre of the image (pixels)
var<private> row_x: vec4f; // rows of the rotation from head to camera; w: the pivot
var<private> row_y: vec4f;
var<private> row_z: vec4f;
var<private> eye_left: vec4f; // outer corner, inner corner
var<private> eye_right: vec4f;
var<private> lids_left: vec4f; // height of the upper and lower lid, their skews
var<private> lids_right: vec4f;
var<private> gaze: vec4f; // x, y, iris radius, pupil / iris
var<private> brow_left: vec4f; // outer end, inner end
var<private> brow_right: vec4f;
var<private> arch: vec4f; // left arch, right arch, skew, thickness
var<private> mouth: vec4f; // left corner, right corner
var<private> lips: vec4f; // upper and lower thickness, gap above and below the mouth line
var<private> smile: vec4f; // sag of the mouth line, cupid's bow, teeth, tongue
var<private> nose_line: vec4f; // nasion y, z; tip y, z
var<private> nose_wing: vec4f; // tip radius; wing x, y, radius
var<private> nose_base: vec4f; // bridge radius, nostril size, wing z, base y
var<private> bumps: vec4f; // brow ridge, eye socket, cheekbone, cheek
var<private> bumps_low: vec4f; // lips, chin, fold under the lip, nasolabial fold
var<private> hair: vec4f; // thickness, front hairline y, side hairline y, length (lowest y)
var<private> hair_form: vec4f; // style, curl height, curl frequency, parting x
var<private> limits: vec4f; // top of the skull, chin, neck half-width, ear size
var<private> beard: vec4f; // beard, moustache, beard length, age
var<private> shoulders: f32; // factor on their width
var<private> temple: vec2f; // half-width of the skull at the eyes and at the ears
var<private> bend_axis: vec4f; // of the bent head: slant, shear, sway, taper
var<private> bend_parts: vec4f; // lopsidedness, nose aside, mouth aside, depth
var<private> eye_form: vec4f; // exponent of the lids' curve, crease over the lid, strength of the crease, jowls
var<private> eye_more: vec4f; // bag under the eye, fold beyond the outer corner, its slope, depth of the inner corner
var<private> nose_form: vec4f; // hump, half-width of the bridge's middle, softness of the groove round the wing, thickness of the beard
var<private> hair_fall: vec4f; // how far it falls forward at the sides, difference of the sides, slope and raggedness of the fringe
var<private> hat: vec4f; // kind (0 none, 1 knitted, 2 peaked, 3 brimmed), height of its edge, tilt, size
var<private> held: vec4f; // top of a scarf (0: none), side of a hand (0: none), its height, how far it leans in
var<private> throat: vec4f; // fat under the chin, softness of the angle below the jaw, length of a hanging beard, tone of the neck
var<private> collar: vec4f; // kind (0 none, 1 polo neck, 2 shirt, 3 ruff), its top below the chin, size, hood: half-width of its opening

fn load_head(index: i32) {
  face = index;
  camera = texel(CAMERA_AT); row_x = texel(ROW_X_AT); row_y = texel(ROW_Y_AT); row_z = texel(ROW_Z_AT);
  eye_left = texel(EYE_LEFT_AT); eye_right = texel(EYE_RIGHT_AT); lids_left = texel(LIDS_LEFT_AT); lids_right = texel(LIDS_RIGHT_AT); gaze = texel(GAZE_AT);
  brow_left = texel(BROW_LEFT_AT); brow_right = texel(BROW_RIGHT_AT); arch = texel(ARCH_AT);
  mouth = texel(MOUTH_AT); lips = texel(LIPS_AT); smile = texel(SMILE_AT);
  nose_line = texel(NOSE_LINE_AT); nose_wing = texel(NOSE_WING_AT); nose_base = texel(NOSE_BASE_AT);
  bumps = texel(BUMPS_AT); bumps_low = texel(BUMPS_LOW_AT); hair = texel(HAIR_AT); hair_form = texel(HAIR_FORM_AT); limits = texel(LIMITS_AT);
  beard = texel(BEARD_AT); seed = texel(SHOT_AT).x; shoulders = texel(STYLE_AT).x;
  bend_axis = texel(BEND_AXIS_AT); bend_parts = texel(BEND_PARTS_AT); eye_form = texel(EYE_FORM_AT); eye_more = texel(EYE_MORE_AT);
  nose_form = texel(NOSE_FORM_AT); hair_fall = texel(HAIR_FALL_AT); hat = texel(HAT_AT); held = texel(HELD_AT);
  throat = texel(THROAT_AT); collar = texel(COLLAR_AT);
  temple = sqrt(vec2f(slice(0.0).x, slice(0.15).x));
}

fn to_camera(p: vec3f) -> vec3f {
  let q = p - vec3f(row_x.w, row_y.w, row_z.w);
  return vec3f(dot(row_x.xyz, q), dot(row_y.xyz, q), dot(row_z.xyz, q));
}
fn rotate_back(v: vec3f) -> vec3f { return row_x.xyz * v.x + row_y.xyz * v.y + row_z.xyz * v.z; }
fn to_head(p: vec3f) -> vec3f { return rotate_back(p) + vec3f(row_x.w, row_y.w, row_z.w); }

fn smin(a: f32, b: f32, k: f32) -> f32 {
  let h = max(k - abs(a - b), 0.0) / k;
  return min(a, b) - h * h * k * 0.25;
}
fn bell(x: f32, y: f32, wide: f32, high: f32) -> f32 {
  let u = x / wide; let v = y / high;
  return exp(-u * u - v * v);
}

// --- bends: the head as it is seen is the plain head of the curves and distances below, bent smoothly ---

fn bend_by(p: vec3f) -> vec3f {
  let y = clamp(p.y - 0.35, -1.5, 1.0);
  let x = clamp(p.x, -1.2, 1.2);
  let across = 1.0 / (1.0 + 6.0 * x * x);
  let nose_at = 1.0 / (1.0 + 16.0 * (y - 0.1) * (y - 0.1));
  let mouth_at = 1.0 / (1.0 + 16.0 * (y - 0.45) * (y - 0.45));
  let aside = bend_axis.y * y + bend_axis.z * y * y + bend_axis.w * x * y + bend_parts.x * (sqrt(x * x + 0.05) - 0.22)
    + across * (bend_parts.y * nose_at + bend_parts.z * mouth_at);
  return vec3f(aside, bend_axis.x * x, bend_parts.w * p.z);
}
// From the head as it is seen to the plain head, and back.
fn unbend(p: vec3f) -> vec3f { return p + bend_by(p); }
fn bend(q: vec3f) -> vec3f {
  var p = q;
  for (var i = 0; i < 12; i++) { p = q - bend_by(p); }
  return p;
}

// --- curves in the plane of the face; drawn features and landmarks both come from these ---

// Heights of the lids over the line between the corners; s runs from the outer (0) to the inner (1) corner.
fn lid_heights(lids: vec4f, s: f32) -> vec2f {
  let c = clamp(s, 0.0, 1.0);
  let round = pow(4.0 * c * (1.0 - c), eye_form.x);
  return vec2f(lids.x * (1.0 + lids.z * (1.0 - 2.0 * c)), lids.y * (1.0 + lids.w * (1.0 - 2.0 * c))) * round;
}
// (s, height over the line of the corners) of a point of the face plane.
fn eye_local(corners: vec4f, p: vec2f) -> vec2f {
  let along = corners.zw - corners.xy;
  let unit = along / length(along);
  let up = select(vec2f(unit.y, -unit.x), vec2f(-unit.y, unit.x), unit.x < 0.0);
  let q = p - corners.xy;
  return vec2f(dot(q, unit) / length(along), dot(q, up));
}
fn eye_point(corners: vec4f, s: f32, height: f32) -> vec2f {
  let along = corners.zw - corners.xy;
  let unit = along / length(along);
  let up = select(vec2f(unit.y, -unit.x), vec2f(-unit.y, unit.x), unit.x < 0.0);
  return corners.xy + along * s + up * height;
}
// Half of the brow's thickness.
fn brow_thick(s: f32) -> f32 { return arch.w * smoothstep(-0.25, 0.45, s) * mix(1.0, 0.8, s); }
// The middle of the brow; s runs from the outer (0) to the inner (1) end.
fn brow_point(ends: vec4f, height: f32, s: f32) -> vec2f {
  let lift = height * 4.0 * s * (1.0 - s) * (1.0 + arch.z * (1.0 - 2.0 * s));
  return mix(ends.xy, ends.zw, s) - vec2f(0.0, lift);
}
// Edges of the lips below the line of the corners: outer upper, inner upper, inner lower, outer lower; u in [-1, 1].
fn lip_edges(u: f32) -> vec4f {
  let c = min(u * u, 1.0);
  let open = pow(1.0 - c, 0.7);
  let inside = max(1.0 - c / 0.757, 0.0);
  let line = smile.x * (1.0 - c);
  let bow = 1.0 - smile.y * exp(-u * u / 0.02);
  return vec4f(
    line - (lips.x * bow + lips.z) * open,
    line - lips.z * inside,
    line + lips.w * inside,
    line + (lips.y + lips.w) * open,
  );
}
fn mouth_local(p: vec2f) -> vec2f {
  let along = (mouth.zw - mouth.xy) * 0.5;
  let q = p - (mouth.xy + mouth.zw) * 0.5;
  let unit = along / length(along);
  return vec2f(dot(q, unit) / length(along), dot(q, vec2f(-unit.y, unit.x)));
}
fn mouth_point(u: f32, below: f32) -> vec2f {
  let along = (mouth.zw - mouth.xy) * 0.5;
  let unit = along / length(along);
  return (mouth.xy + mouth.zw) * 0.5 + along * u + vec2f(-unit.y, unit.x) * below;
}

// --- distances ---

fn slice(y: f32) -> vec4f { // half-width^2, front depth^2, back depth^2, centre z
  let t = clamp((y - TABLE_TOP) / TABLE_STEP, 0.0, f32(TABLE_SIZE) - 1.001);
  let i = i32(t);
  return mix(texel(TABLE_AT + i), texel(TABLE_AT + i + 1), t - f32(i));
}
// Skull and jaw without features. First-order distance to the ellipse of the slice, capped above and below.
fn skull(p: vec3f) -> f32 {
  let s = slice(p.y);
  let z = p.z - s.w;
  let depth = select(s.z, s.y, z > 0.0);
  let k = sqrt(p.x * p.x / s.x + z * z / depth) + 1e-5;
  let slope = sqrt(p.x * p.x / (s.x * s.x) + z * z / (depth * depth)) + 1e-5;
  return max((k - 1.0) * k / slope, max(limits.x - p.y, p.y - limits.y));
}
// Where a beard grows, 0 to 1; e: edges of the lips, m: the point along and below the mouth.
fn beard_mask(p: vec3f, e: vec4f, m: vec2f) -> f32 {
  let ax = abs(p.x);
  let clear = smoothstep(0.0, 0.06, max(e.x - m.y, m.y - e.w) + max(abs(m.x) - 1.0, 0.0) * 0.3);
  let jawline = mix(0.62, 0.0, smoothstep(0.42, 0.80, ax));
  let low = smoothstep(-0.10, 0.24, p.y - jawline - 0.12) * smoothstep(0.12, 0.32, ax + max(p.y - mouth.y - 0.05, 0.0) * 4.0);
  let lip = smoothstep(0.0, 0.05, p.y - nose_base.w - 0.02) * smoothstep(0.05, -0.04, p.y - mouth.y - 0.03) * smoothstep(0.46, 0.34, ax);
  return clamp(max(beard.x * low, 0.6 * beard.y * lip) * clear, 0.0, 1.0);
}
// How far the features stand out of the skull.
fn relief(p: vec3f) -> f32 {
  if (p.z < -0.5) { return 0.0; }
  let ax = abs(p.x);
  let eye = vec2f((eye_right.x + eye_right.z) * 0.5, (eye_right.y + eye_right.w) * 0.5);
  let wide = abs(eye_right.x - eye_right.z);
  let open = lids_right.x + lids_right.y;
  var r = 0.0;
  if (p.y < eye.y + 0.45) {
    r += bumps.x * bell(ax - 0.30, p.y - eye.y + 0.17, 0.24, 0.085);
    r -= bumps.y * bell(ax - eye.x + 0.02, p.y - eye.y + 0.02, wide * 0.72, 0.13);
    r -= eye_more.w * bell(ax - 0.17, p.y - eye.y, 0.09, 0.10);
    r += 0.062 * bell(ax - eye.x, p.y - eye.y, wide * 0.46, 0.07 + open * 0.35);
    r += 0.012 * (1.0 + beard.w) * bell(ax - eye.x, p.y - eye.y - open * 0.5 - 0.07, wide * 0.5, 0.035);
  }
  r += bumps.z * bell(ax - 0.50, p.y - 0.30, 0.20, 0.17);
  r += bumps.w * bell(ax - 0.46, p.y - 0.66, 0.20, 0.20);
  r -= 0.03 * bell(ax - 0.78, p.y + 0.32, 0.12, 0.22);
  let centre = (mouth.xy + mouth.zw) * 0.5;
  if (p.y > centre.y - 0.50) {
    let m = mouth_local(p.xy);
    let half = length(mouth.zw - mouth.xy) * 0.5;
    let e = lip_edges(m.x);
    let across = exp(-m.x * m.x * m.x * m.x);
    let up = (m.y - (e.x + e.y) * 0.5) / (lips.x * 0.7 + 0.02);
    let low = (m.y - (e.z + e.w) * 0.5) / (lips.y * 0.65 + 0.02);
    let line = max(e.y - m.y, m.y - e.z);
    r += bumps_low.x * across * (0.8 * exp(-up * up) + exp(-low * low));
    r -= across * 0.03 * exp(-max(line, 0.0) * max(line, 0.0) / 0.0006) + 0.05 * across * smoothstep(0.0, 0.03, -line);
    r -= 0.014 * bell(p.x, p.y - (nose_base.w + centre.y) * 0.5, 0.035, 0.07);
    r -= 0.018 * bell(ax - half - 0.02, p.y - centre.y, 0.06, 0.06);
    r -= 0.10 * smoothstep(0.06, 0.36, ax) * smoothstep(0.80, 0.42, ax) * exp(-(p.y - centre.y) * (p.y - centre.y) / 0.06);
    let chin = limits.y - 0.13;
    r += bumps_low.y * bell(p.x, p.y - chin, 0.17, 0.10);
    r -= bumps_low.z * bell(p.x, p.y - mix(centre.y + e.w, chin, 0.4), 0.2, 0.05);
    // the fold runs from the wing of the nose to beside the mouth corner
    let fold = vec2f(nose_wing.y + 0.06, nose_base.w - 0.10);
    let end = vec2f(half + 0.09, centre.y + 0.02);
    let along = clamp(dot(vec2f(ax, p.y) - fold, end - fold) / dot(end - fold, end - fold), 0.0, 1.0);
    let off = distance(vec2f(ax, p.y), mix(fold, end, along) + vec2f(0.03, 0.0) * sin(along * 3.14));
    r -= bumps_low.w * exp(-off * off / 0.0016);
    r += eye_form.w * bell(ax - 0.40, p.y - limits.y + 0.20, 0.17, 0.13);
    if (nose_form.w > 0.0) { r += nose_form.w * smoothstep(0.0, 1.0, beard_mask(p, e, m)); }
  }
  return r * smoothstep(-0.5, -0.1, p.z);
}
fn capsule(p: vec3f, a: vec3f, b: vec3f, ra: f32, rb: f32) -> f32 {
  let t = clamp(dot(p - a, b - a) / dot(b - a, b - a), 0.0, 1.0);
  return distance(p, mix(a, b, t)) - mix(ra, rb, t);
}
fn nose(p: vec3f) -> f32 {
  let q = vec3f(abs(p.x), p.y, p.z);
  let tip = vec3f(0.0, nose_line.z, nose_line.w - nose_wing.x);
  let root = vec3f(0.0, nose_line.x, nose_line.y - nose_base.x);
  let middle = mix(root, tip, 0.45) + vec3f(0.0, 0.0, nose_form.x);
  var d = min(capsule(q, root, middle, nose_base.x, nose_form.y), capsule(q, middle, tip, nose_form.y, nose_wing.x * 0.75));
  d = smin(d, distance(q, tip) - nose_wing.x, 0.06);
  d = smin(d, capsule(q, tip, vec3f(0.0, nose_base.w - 0.03, nose_base.z), nose_wing.x * 0.5, 0.035), 0.04);
  // wings reach to the tip: between them and a tip that stands far out there is no hole
  let reach = max(1.25, (nose_line.w - 2.0 * nose_wing.x - nose_base.z + 0.045) / nose_wing.w);
  let wing = (q - vec3f(nose_wing.y, nose_wing.z, nose_base.z)) / vec3f(0.9, 0.85, reach);
  return smin(d, length(wing) - nose_wing.w, nose_form.z);
}
// Skin at a distance d from the skull; far away the features are a margin.
fn skin_over(p: vec3f, d: f32) -> f32 {
  if (d > 1.1) { return d - 0.8; }
  var near = d - 0.08;
  if (d < 0.18) { near = d - mix(relief(p), 0.08, smoothstep(0.11, 0.18, d)); }
  if (abs(p.x) > 0.5 || abs(p.y - 0.25) > 0.7 || p.z < -0.3) { return near; }
  return smin(near, nose(p), 0.17);
}
fn skin(p: vec3f) -> f32 { return skin_over(p, skull(p)); }
fn ear(p: vec3f) -> f32 {
  let q = vec3f(abs(p.x), p.y, p.z) - vec3f(temple.y + 0.035, 0.17, -0.82);
  let turned = vec3f(q.x * 0.92 + q.z * 0.38, q.y - q.z * 0.15, q.z * 0.92 - q.x * 0.38);
  let r = vec3f(0.06, 0.27, 0.17) * limits.w;
  return ellipsoid(turned, r);
}
// The neck without what hangs under the chin.
fn neck_column(p: vec3f) -> f32 {
  let thin = 0.5 / limits.z;
  return capsule(vec3f(p.x * thin, p.y, p.z), vec3f(0.0, 0.6, -0.8), vec3f(0.0, 2.4, -0.95), 0.44, 0.56) / max(1.0, 0.6 * thin);
}
fn neck(p: vec3f, d: f32) -> f32 { // d: distance to its column
  if (throat.x <= 0.0) { return d; }
  let fat = p - vec3f(0.0, limits.y - 0.09 + 0.10 * throat.x, -0.42); // a second chin
  return smin(d, ellipsoid(fat, vec3f((0.56 + 0.19 * throat.x) * temple.x, 0.22 + 0.16 * throat.x, 0.46)), 0.14);
}
// A beard that hangs from the chin.
fn beard_hang(p: vec3f) -> f32 {
  if (throat.z <= 0.0) { return 9.0; }
  let q = p - vec3f(0.0, limits.y - 0.02 + 0.40 * throat.z, -0.06);
  let r = vec3f((0.61 - 0.23 * smoothstep(-0.1, 0.7, q.y)) * temple.x, 0.30 + 0.45 * throat.z, 0.40);
  let d = ellipsoid(q, r);
  if (d > 0.2) { return d * 0.8; }
  return (d - 0.04 * noise(vec2f(p.x * 8.0, p.y * 3.0), 8.0) - 0.02 * noise(vec2f(p.x * 25.0, p.y * 6.0), 9.0)) * 0.8;
}
fn cloth(p: vec3f) -> f32 {
  return ellipsoid(p - vec3f(0.0, 2.52, -0.95), vec3f(1.95 * shoulders, 0.95, 0.75));
}
// Height of the hairline above a point: positive inside the hair.
fn hair_cover(p: vec3f) -> f32 {
  let fall = min(hair_fall.x * (1.0 + hair_fall.y * sign(p.x)), 0.42);
  let side = smoothstep(-0.28, -0.62, p.z - fall + 0.25 * max(abs(p.x) - 0.62, 0.0) + 0.02 * sin(p.y * 8.0 + seed) + 0.012 * sin(p.y * 23.0));
  let back = smoothstep(-0.62, -0.95, p.z);
  let wave = 0.03 * sin(p.x * 8.0 + seed) + 0.02 * sin(p.x * 21.0 + seed * 2.0) + 0.009 * sin(p.x * 57.0 + seed * 3.0)
    + hair_fall.z * p.x + hair_fall.w * (0.6 * sin(p.x * 23.0 + p.y * 9.0 + seed + 2.0 * sin(p.x * 5.0)) + 0.4 * sin(p.x * 67.0 + p.y * 14.0));
  let part = 0.10 * smoothstep(0.35, 0.0, abs(p.x - hair_form.w)) * step(0.01, abs(hair_form.w));
  let front = hair.y + wave - part + 0.28 * p.x * p.x * step(-0.45, hair.y) - 0.12 * bell(abs(p.x) - 0.5, 0.0, 0.18, 1.0);
  return mix(mix(front, hair.z, side), 0.75, back) - p.y;
}
// Hair at a distance d from the skull.
fn hair_over(p: vec3f, skull_at: f32) -> f32 {
  if (hair.x <= 0.0) { return 9.0; }
  if (skull_at > 0.9) { return skull_at - 0.6; }
  var d = skull_at - mix(-0.26, hair.x, smoothstep(-0.08, 0.13, hair_cover(p)));
  if (hair.w > 0.3) { // hanging hair behind and beside the face
    let middle = (hair.w - 1.0) * 0.5;
    let r = vec3f(temple.x + hair.x + 0.10, (hair.w + 1.0) * 0.5, 0.52);
    let q = (p - vec3f(0.0, middle, -1.0)) / r;
    let k = length(vec3f(q.x, q.y * q.y * q.y, q.z));
    d = smin(d, (k - 1.0) * 0.5 * min(k, 1.3), 0.08);
  }
  if (d > 0.12) { return (d - 0.04) * 0.8; }
  let curl = hair_form.y * noise(vec2f(atan2(p.x, p.z + 0.7) * hair_form.z, p.y * hair_form.z * 0.8), 7.0);
  return (d - curl) * 0.8;
}
fn ellipsoid(q: vec3f, r: vec3f) -> f32 {
  let k = length(q / r);
  return (k - 1.0) * k / (length(q / (r * r)) + 1e-4);
}
// A collar; round: distance to the column of the neck.
fn collar_at(p: vec3f, round: f32) -> f32 {
  if (collar.x < 0.5) { return 9.0; }
  let top = limits.y + collar.y + 0.28 * min(p.z + 0.4, 0.0);
  let q = p - vec3f(0.0, top + 0.05, -0.55);
  let folds = sin(select(p.y * 40.0, atan2(q.x, q.z) * 26.0, collar.x > 2.5));
  if (collar.x > 2.5) { // a disc of pleats
    let out = length(q.xz);
    let y = q.y - 0.22 * out * collar.z + 0.05 * folds * smoothstep(0.3, 0.8, out);
    return ellipsoid(vec3f(q.x, y, q.z), vec3f(1.0, 0.15, 0.95) * (0.9 + 0.4 * collar.z)) * 0.6;
  }
  if (collar.x < 1.5) { return max(round - 0.05 - 0.09 * collar.z - 0.012 * folds, top - p.y) * 0.8; }
  let gap = 0.05 + 0.35 * collar.z - abs(p.x) + 0.7 * (p.y - top - 0.25); // open before the throat
  let flare = 0.05 + 0.16 * clamp(p.y - top, 0.0, 1.0);
  return max(max(round - flare, max(top - p.y, p.y - top - 0.55)), select(-9.0, gap * 0.7, p.z > -0.6)) * 0.8;
}
fn hat_at(p: vec3f) -> f32 {
  if (hat.x < 0.5) { return 9.0; }
  let edge = p.y - hat.y - hat.z * p.x + 0.12 * (p.z + 0.5) * step(1.5, hat.x);
  var crown_at = vec3f(0.0, -0.42, -0.72);
  var crown = vec3f(temple.x + 0.16, 1.02, 1.20);
  var q = vec3f(p.x, edge + 0.02 + 0.18 * p.x * p.x, p.z - 0.15); // the peak; the brim; the drape of a hood
  var r = vec3f(0.66, 0.04, 0.75);
  if (hat.x > 2.5) {
    q = vec3f(p.x, edge + 0.02 + 0.10 * p.x * p.x, p.z + 0.72);
    r = vec3f(1.45, 0.045, 1.75);
  }
  if (hat.x > 3.5) {
    crown_at = vec3f(0.0, -0.10, -0.74);
    crown = vec3f(temple.x + 0.15, 1.36, 1.14);
    q = p - vec3f(0.0, 1.55, -0.75);
    r = vec3f(temple.x + 0.25, 1.10, 0.72);
  }
  let top = ellipsoid(p - crown_at, crown * hat.w);
  let below = ellipsoid(q, r);
  if (hat.x > 3.5) { // a hood, bonnet or veil: its cloth, without an oval before the face
    let folds = 0.02 * sin(9.0 * atan2(p.x, 0.6 - p.y) + 5.0 * p.z + seed);
    let bottom = limits.y + collar.y;
    let middle = (hat.y + bottom) * 0.5;
    let local = vec2f((p.x - hat.z * (p.y - middle)) / collar.w, (p.y - middle) / (bottom - middle));
    let oval = (length(local) - 1.0) * collar.w * 0.8;
    return max(smin(top, below, 0.2) - folds, -max(oval, -0.55 - p.z)) * 0.8;
  }
  let d = max(top, edge);
  return select(d - 0.03, min(d, below), hat.x > 1.5) * 0.85;
}
fn scarf(p: vec3f) -> f32 {
  if (held.x <= 0.0) { return 9.0; }
  let folds = 0.03 * sin(p.y * 21.0 + 3.0 * p.x + 2.0 * sin(p.x * 3.0 + seed));
  return ellipsoid(p - vec3f(0.0, held.x + 0.42, -0.55), vec3f(1.0, 0.42, 0.98)) * 0.9 - folds;
}
fn hand(p: vec3f) -> f32 { // fingers up along the jaw, from a fist below it
  if (held.y == 0.0) { return 9.0; }
  let q = vec3f(p.x * sign(held.y), p.y, p.z);
  let at = vec3f(0.46 - 0.3 * held.w, held.z, 0.06);
  var d = 9.0;
  for (var i = 0; i < 4; i++) {
    let f = f32(i) - 1.5;
    let root = at + vec3f(0.10 + f * 0.155, 0.45 + 0.02 * f * f, 0.08 - 0.07 * f);
    let tip = at + vec3f(0.06 + f * 0.13 - 0.12 * held.w, 0.035 * f * f, 0.10 - 0.16 * max(f, -0.4));
    d = min(d, capsule(q, tip, root, 0.072, 0.085));
  }
  return smin(d, ellipsoid(q - at - vec3f(0.12, 0.72, 0.0), vec3f(0.36, 0.36, 0.22)), 0.1);
}
// What is worn or held: hat, scarf, hand, collar.
fn extras(p: vec3f, column: f32) -> f32 { return min(min(hat_at(p), collar_at(p, column)), min(scarf(p), hand(p))); }
fn scene(seen: vec3f) -> f32 {
  let p = unbend(seen);
  let d = skull(p);
  let column = neck_column(p);
  let body = smin(smin(skin_over(p, d), neck(p, column), throat.y), beard_hang(p), 0.10); // a soft angle below the jaw
  var least = min(min(min(body, ear(p)), hair_over(p, d)), cloth(p));
  if (worn) { least = min(least, extras(p, column)); }
  return least;
}
fn bent_skin(p: vec3f) -> f32 { return skin(unbend(p)); }
// At a point of the head as it is seen.
fn skin_normal(p: vec3f) -> vec3f {
  var n = vec3f(0.0);
  for (var i = 0; i < 4; i++) {
    let corner = vec3f(select(-1.0, 1.0, i == 0 || i == 3), select(-1.0, 1.0, i == 1 || i == 3), select(-1.0, 1.0, i == 2 || i == 3));
    n += corner * bent_skin(p + corner * 0.006);
  }
  return normalize(n);
}

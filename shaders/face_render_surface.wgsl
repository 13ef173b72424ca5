// What is seen at each sample: normal, colour, light, distance to the nearest drawn line. Follows face_render_head.wgsl.
// out shape_out:  [side, side, faces] camera-space normal, depth (0 for the background)
// out colour_out: [side, side, faces] own colour without light, material
// out light_out:  [side, side, faces] key light, ambient occlusion, highlight, distance to a line (share of the image)
// in drawn: numbers of the faces that are drawn
// grid: one invocation a sample, workgroup (8 x 1 samples, place among those drawn)
@group(0) @binding(2) var shape_out: texture_storage_2d_array<rgba32float, write>;
@group(0) @binding(3) var colour_out: texture_storage_2d_array<rgba32float, write>;
@group(0) @binding(4) var light_out: texture_storage_2d_array<rgba32float, write>;
@group(0) @binding(5) var<storage, read> drawn: array<u32>;

const SKY: f32 = 0.0;
const SKIN: f32 = 1.0;
const NECK: f32 = 2.0;
const EAR: f32 = 3.0;
const HAIR: f32 = 4.0;
const CLOTH: f32 = 5.0;
const EYE: f32 = 6.0;
const IRIS: f32 = 7.0;
const LIP: f32 = 8.0;
const MOUTH: f32 = 9.0;
const TEETH: f32 = 10.0;
const BROW: f32 = 11.0;
const DARK: f32 = 12.0;

struct Paint { colour: vec3f, material: f32, ink: f32, gloss: f32 }

fn segment(p: vec2f, a: vec2f, b: vec2f) -> f32 {
  return distance(p, mix(a, b, clamp(dot(p - a, b - a) / dot(b - a, b - a), 0.0, 1.0)));
}
fn cover(distance: f32, soft: f32) -> f32 { return smoothstep(-soft, soft, distance); }
fn grey(c: vec3f) -> f32 { return dot(c, vec3f(0.3, 0.59, 0.11)); }

fn paint_eye(p: vec2f, corners: vec4f, lids: vec4f, soft: f32, was: Paint) -> Paint {
  var out = was;
  let wide = distance(corners.xy, corners.zw);
  let q = eye_local(corners, p);
  if (abs(q.x - 0.5) > 1.2 || abs(q.y) > 0.4) { return out; }
  let h = lid_heights(lids, q.x);
  let beyond = abs(q.x - clamp(q.x, 0.0, 1.0)) * wide;
  let above = h.x - q.y;
  let below = q.y + h.y;
  let inside = min(above, below) * 0.85 - beyond;
  let makeup = texel(MAKEUP_AT);
  let tone = texel(SKIN_AT).xyz;
  // skin around: the crease over the lid, the bag under it, folds that run on beyond the outer corner
  let span = max(1.0 - pow(abs(2.0 * q.x - 1.0), 3.0), 0.0);
  let crease = q.y - h.x - eye_form.y * (0.35 + 0.65 * span) - 0.008 + beyond * 1.2;
  let over = crease / select(0.045, 0.016, crease < 0.0);
  out.colour *= 1.0 - eye_form.z * vec3f(0.75, 0.9, 1.0) * exp(-over * over) * step(-0.02, q.y) * exp(-beyond * beyond / 0.003);
  let bag = (q.y + h.y + 0.035 + 0.05 * eye_more.x * span) / 0.022;
  out.colour *= 1.0 - (0.10 + 0.35 * eye_more.x) * vec3f(0.8, 1.0, 0.95) * exp(-bag * bag) * exp(-pow((q.x - 0.55) / 0.42, 2.0));
  let outward = -q.x * wide;
  let fold = (q.y - eye_more.z * outward + 2.0 * outward * outward) / (0.010 + 0.06 * max(outward, 0.0));
  out.colour *= 1.0 - eye_more.y * vec3f(0.75, 0.95, 1.0) * exp(-fold * fold) * smoothstep(-0.05, 0.01, outward) * exp(-max(outward, 0.0) / 0.06);
  let corner = texel(CORNER_AT); // beyond the outer corner: length of lashes or a painted wing, its slope, its darkness, lines
  let rays = abs(fract(atan2(q.y, outward + 0.06) * 3.2) - 0.5);
  out.colour *= 1.0 - (0.16 * beard.w + corner.w) * smoothstep(0.22, 0.0, rays) * smoothstep(0.03, 0.07, outward) * smoothstep(0.14 + 0.1 * corner.w, 0.08, outward);
  out.colour *= 1.0 - (0.10 + 0.5 * corner.w) * vec3f(0.8, 1.0, 1.0) * bell(outward - 0.035, q.y - 0.01, 0.07, 0.05);
  out.colour = mix(out.colour, makeup.yzw, 0.6 * step(0.01, makeup.y) * cover(inside + 0.07, 0.04));
  let centre = eye_point(corners, 0.5, (lids.x - lids.y) * 0.38) + gaze.xy * vec2f(wide * 0.26, 0.035);
  let r = gaze.z;
  let to_iris = distance(p, centre);
  let ball = clamp(abs(q.x - 0.5) * 2.0, 0.0, 1.0);
  var eyeball = mix(vec3f(0.54, 0.49, 0.46), vec3f(0.40, 0.38, 0.39), hash(i32(seed), 7, 7)) * (1.0 - 0.6 * ball * ball);
  eyeball = mix(eyeball, vec3f(0.60, 0.33, 0.29), 0.6 * exp(-pow((1.0 - q.x) / 0.09, 2.0)) + 0.15 * ball);
  eyeball *= mix(0.6, 1.0, smoothstep(0.02, 0.35, grey(tone))); // cameras expose dark faces longer
  let white = texel(STYLE_AT).z;
  eyeball = mix(tone, eyeball, white);
  let iris = texel(IRIS_AT).xyz;
  let spokes = 0.85 + 0.3 * noise(vec2f(atan2(p.y - centre.y, p.x - centre.x) * 9.0, to_iris * 30.0), 3.0);
  var inner = iris * mix(0.8, 1.1, to_iris / r) * spokes * mix(1.0, 0.25, smoothstep(r * 0.75, r, to_iris));
  inner = mix(inner, vec3f(0.01), cover(r * gaze.w - to_iris, soft));
  let on_iris = cover(r - to_iris, soft * 0.7 + 0.006);
  eyeball = mix(eyeball, inner, on_iris);
  eyeball *= 1.0 - 0.8 * exp(-max(above, 0.0) / 0.030);
  let key = texel(KEY_CAMERA_AT);
  let spark = centre + vec2f(key.x * 0.6, key.y * 0.6) * r;
  let window = max(abs(p.x - spark.x) * 1.3, abs(p.y - spark.y));
  let glint = select(distance(p, spark), window, key.w > 5.0);
  eyeball = mix(eyeball, vec3f(1.0), min(0.25 + key.w * 0.12, 0.95) * cover(r * (0.10 + 0.018 * key.w) - glint, soft));
  let seen = cover(inside, soft * 0.7);
  out.colour = mix(out.colour, eyeball, seen);
  if (seen > 0.5) {
    out.material = select(select(SKIN, EYE, white > 0.5), select(IRIS, DARK, to_iris < r * gaze.w), on_iris > 0.5);
    out.gloss = 0.5;
  }
  // the wet edge of the lower lid, then lashes: a dark line that thickens outwards; a faint one below
  out.colour = mix(out.colour, tone * vec3f(1.0, 0.72, 0.68), 0.55 * exp(-pow((below + 0.004) / 0.009, 2.0)) * step(beyond, 0.0));
  let lash = (0.016 + 0.014 * makeup.x) * (1.3 - 0.6 * q.x);
  let line = select(abs(above), 1.0, q.x < -0.06 || q.x > 1.02) + beyond * 0.6;
  out.colour = mix(out.colour, vec3f(0.035, 0.025, 0.02), (0.72 + 0.26 * makeup.x) * cover(lash - line, soft + 0.008));
  let run = (outward + 0.03) / (corner.x + 0.03);
  let rise = q.y - corner.y * (outward + 0.03) - 1.5 * outward * max(outward, 0.0);
  let hairs = 0.5 + 0.5 * noise(vec2f(rise * 160.0, outward * 20.0), 14.0);
  let wing = (0.016 + 0.012 * makeup.x) * (1.0 - run) - abs(rise);
  out.colour = mix(out.colour, vec3f(0.035, 0.025, 0.02), corner.z * mix(hairs, 1.0, corner.z) * cover(wing, soft + 0.005) * step(0.0, run));
  let under = abs(below + 0.010) + beyond;
  out.colour *= 1.0 - (0.4 + 0.4 * makeup.x) * cover(0.007 + 0.004 * makeup.x - under, soft + 0.006);
  out.ink = min(out.ink, min((line - lash * 0.8) / 1.2, under * 2.2 + 0.004));
  out.ink = min(out.ink, select(9.0, abs(to_iris - r) * 1.4, seen > 0.3));
  out.ink = min(out.ink, select(9.0, to_iris - r * gaze.w, seen > 0.3));
  return out;
}
fn paint_brow(p: vec2f, ends: vec4f, height: f32, soft: f32, was: Paint) -> Paint {
  var out = was;
  let along = ends.zw - ends.xy;
  let s = (p.x - ends.x) / along.x;
  if (s < -0.15 || s > 1.2) { return out; }
  let c = clamp(s, 0.0, 1.0);
  let line = brow_point(ends, height, c);
  let slope = (brow_point(ends, height, c + 0.02).y - line.y) / (along.x * 0.02);
  let thick = brow_thick(c);
  let lean = sign(along.x);
  // hairs stand up at the inner end and lie along the brow further out
  let lying = mix(0.25, 1.1, c);
  let hairs = noise(vec2f((p.x * lean + (p.y - line.y) * lying) * 75.0, (p.y - line.y) * 22.0 + p.x * 9.0), 11.0);
  let sparse = noise(p * 11.0, 12.0);
  let off = abs(p.y - line.y) / sqrt(1.0 + slope * slope) + abs(s - c) * abs(along.x);
  let d = thick - off + 0.014 * hairs + 0.006 * sparse;
  let brow = texel(BROW_COLOUR_AT);
  let dense = brow.w * smoothstep(-0.012 - soft, 0.022 + soft, d) * (0.8 + 0.3 * hairs) * mix(1.0, 0.8 + 0.4 * sparse, 0.7);
  out.colour = mix(out.colour, brow.xyz * (1.0 + 0.3 * hairs), clamp(dense, 0.0, 1.0));
  if (d > 0.0 && brow.w > 0.3) { out.material = BROW; out.gloss *= 0.4; }
  out.ink = min(out.ink, max(off - thick * 0.8, 0.0) + 0.002);
  return out;
}
fn paint_mouth(p: vec2f, soft: f32, was: Paint) -> Paint {
  var out = was;
  let q = mouth_local(p);
  if (abs(q.x) > 1.15 || abs(q.y) > 0.5) { return out; }
  let e = lip_edges(q.x);
  let beyond = max(abs(q.x) - 1.0, 0.0) * 0.3;
  let lip = texel(LIP_AT).xyz;
  let lines = 1.0 + 0.14 * noise(vec2f(q.x * 26.0, q.y * 5.0), 13.0);
  let on_lip = min(q.y - e.x, e.w - q.y) - beyond;
  let paint = texel(LIP_AT).w;
  let lit = 0.5 + 0.5 * smoothstep(-0.3, 0.5, (q.y - (e.y + e.z) * 0.5) / (lips.y + 0.02));
  var tint = lip * lines * mix(0.80, 1.08, select(lit, 0.15, q.y < (e.y + e.z) * 0.5));
  out.colour = mix(out.colour, tint, cover(on_lip, soft + mix(0.022, 0.008, paint)) * mix(0.55, 0.95, paint));
  if (on_lip > 0.0) { out.material = LIP; out.gloss = mix(0.25, 0.7, paint * hash(i32(seed), 5, 5)); }
  let in_mouth = min(q.y - e.y, e.z - q.y) - beyond;
  let gap = lips.z + lips.w;
  if (gap > 0.012) {
    let deep = clamp((q.y - e.y) / max(gap, 0.02), 0.0, 1.0);
    var dark = vec3f(0.16, 0.035, 0.03);
    let tongue = vec2f(q.x / 0.55, (q.y - e.z - 0.01) / max(gap * 0.45, 0.02));
    dark = mix(dark, vec3f(0.55, 0.20, 0.19), smile.w * cover(1.0 - length(tongue), 0.2));
    let tooth = 0.84 + 0.14 * smoothstep(0.0, 0.10, abs(fract(q.x * 4.6 + 0.5) - 0.5));
    let ivory = mix(vec3f(0.80, 0.74, 0.62), vec3f(0.88, 0.86, 0.81), hash(i32(seed), 6, 6)) * tooth * (1.0 - 0.55 * q.x * q.x) * mix(0.85, 1.0, smoothstep(0.0, 0.2, deep));
    let teeth = min(0.13, gap * 0.95) * smile.z * (1.0 - 0.35 * q.x * q.x);
    let on_teeth = cover(e.y + teeth - q.y, soft) * step(0.02, teeth);
    let inside = cover(in_mouth, soft * 0.7);
    let rows = select(9.0, abs(q.y - mix(e.y, e.z, 0.55)), smile.z > 1.5); // upper and lower teeth
    dark = mix(dark, ivory, on_teeth) * (1.0 - 0.6 * cover(0.006 - rows, soft + 0.004));
    out.colour = mix(out.colour, dark, inside);
    if (in_mouth > 0.0) { out.ink = min(out.ink, rows + 0.003); }
    if (in_mouth > 0.0) {
      out.material = select(MOUTH, TEETH, on_teeth > 0.5);
      out.gloss = 0.0;
    }
  }
  let seam = select(min(abs(q.y - e.y), abs(q.y - e.z)), abs(q.y - (e.y + e.z) * 0.5), gap < 0.012) + beyond;
  out.colour *= 1.0 - 0.6 * cover(0.007 - seam, soft + 0.005) * step(abs(q.x), 1.02);
  let ends = distance(vec2f(abs(q.x), q.y), vec2f(1.0, 0.0));
  out.gloss *= 1.0 - exp(-ends * ends / 0.03);
  out.colour *= 1.0 - 0.3 * exp(-ends * ends / 0.006);
  out.ink = min(out.ink, select(9.0, seam - 0.004, abs(q.x) < 1.02));
  out.ink = min(out.ink, select(9.0, min(abs(q.y - e.x), abs(q.y - e.w)) * 3.0 + 0.009, abs(q.x) < 0.97));
  return out;
}
// Distance to the one line that a nose is drawn with: down the ridge, on the side turned away, round the tip, to the near
// wing; short: from below the middle of the ridge.
fn nose_stroke(p: vec2f, short: bool) -> f32 {
  let far = select(-1.0, 1.0, row_x.z > 0.0);
  let aside = far * 0.75 * mix(nose_base.x, 0.01, smoothstep(0.1, 0.4, abs(row_x.z))); // the middle, seen from the side
  let start = select(-0.04 + 0.14 * hash(i32(seed), 9, 9), 0.55 + 0.25 * hash(i32(seed), 9, 9), short);
  let top = vec2f(aside, mix(nose_line.x, nose_line.z, start));
  let tip = vec2f(aside * 0.6, nose_line.z + 0.25 * nose_wing.x);
  let under = vec2f(-far * 0.3 * nose_wing.y, nose_base.w + 0.005);
  let wing = vec2f(-far * (nose_wing.y + 0.5 * nose_wing.w), nose_base.w - 0.03 - 0.4 * nose_wing.w * hash(i32(seed), 9, 10));
  let line = min(segment(p, top, tip), segment(p, tip, under));
  return min(line, select(segment(p, under, wing), 9.0, hash(i32(seed), 9, 11) < 0.25)) + 0.003;
}
// The skin spread out, for patterns: round the head and down.
fn skin_plane(p: vec3f) -> vec2f { return vec2f(1.3 * atan2(p.x, p.z + 1.2), p.y); }
fn paint_skin(p: vec3f, n: vec3f, soft: f32) -> Paint {
  let tone = texel(SKIN_AT);
  let ax = abs(p.x);
  let on = skin_plane(p);
  let mottle = fbm(on * 5.0, 1.0);
  let marks = texel(MARKS_AT); // freckles, redness, glasses, fine grain
  var c = tone.xyz * (1.0 + 0.07 * mottle);
  let blush = bell(ax - 0.45, p.y - 0.36, 0.20, 0.17) + 0.8 * bell(p.x, p.y - nose_line.z, 0.13, 0.12) + 0.3 * bell(p.x, p.y - limits.y + 0.12, 0.2, 0.1);
  c *= mix(vec3f(1.0), vec3f(1.04, 0.80, 0.78), clamp(blush * marks.y, 0.0, 1.0));
  c *= mix(vec3f(1.0), vec3f(0.80, 0.74, 0.76), 0.75 * bell(ax - 0.31, p.y + 0.02, 0.19, 0.12));
  c = mix(c, c * vec3f(1.05, 0.34, 0.30), clamp(blush * texel(STYLE_AT).y, 0.0, 1.0)); // what a style paints on
  let patches = noise(on * 13.0 + 3.0, 20.0);
  c *= mix(vec3f(1.0), vec3f(1.03, 0.93, 0.92), 0.5 + 0.5 * patches) * (1.0 + 0.03 * marks.w * patches);
  let spots = noise(on * 34.0, 21.0) + 0.5 * noise(on * 61.0, 22.0);
  c *= 1.0 - marks.x * 0.45 * smoothstep(0.45, 1.0, spots) * mix(bell(ax - 0.3, p.y - 0.28, 0.4, 0.25), 0.7, marks.x * marks.x);
  c *= 1.0 + marks.w * 0.05 * noise(on * 85.0, 23.0);
  for (var i = 0; i < 2; i++) { // moles
    let mole = vec2f(hash(i, 31, i32(seed)) * 1.4 - 0.7, hash(i, 32, i32(seed)) * 1.3 - 0.2);
    c *= 1.0 - 0.65 * step(0.6, hash(i, 33, i32(seed))) * cover(0.012 - distance(p.xy, mole), 0.01);
  }
  // thin hair and its shadow before the hairline
  if (hair.x > 0.0) {
    let strands = 0.5 + 0.5 * noise(vec2f(p.x * 48.0 + p.y * 6.0, p.y * 5.0), 28.0);
    c = mix(c, c * 0.25 + texel(HAIR_COLOUR_AT).xyz * 0.3, 0.85 * strands * smoothstep(-0.16, -0.02, hair_cover(p)));
  }
  let m = mouth_local(p.xy);
  let e = lip_edges(m.x);
  let rough = 0.5 * noise(on * 9.0, 25.0) + 0.5 * noise(on * 45.0, 26.0);
  let growth = smoothstep(0.05, mix(1.1, 0.6, beard.z), beard_mask(p, e, m) * (1.0 + 0.5 * rough) + 0.25 * beard.z * rough);
  let bristle = 1.0 + 0.45 * noise(on * vec2f(60.0, 22.0), 27.0);
  let hair_colour = mix(texel(HAIR_COLOUR_AT).xyz, vec3f(0.10, 0.09, 0.09), 0.25);
  let stubble = tone.xyz * vec3f(0.60, 0.62, 0.66) * (1.0 + 0.2 * noise(on * 70.0, 29.0));
  c = mix(c, mix(stubble, hair_colour * bristle, beard.z), growth * mix(0.55, 0.95, beard.z));
  // lines of age
  let wave = 0.012 * sin(p.x * 9.0) + 0.015 * mottle;
  for (var i = 0; i < 3; i++) {
    let at = -0.40 - 0.11 * f32(i);
    let d = (p.y - at - wave - 0.06 * p.x * p.x) / 0.010;
    c *= 1.0 - 0.28 * beard.w * exp(-d * d) * smoothstep(0.48, 0.25, ax);
  }
  let fold_a = vec2f(nose_wing.y + 0.05, nose_base.w - 0.08);
  let fold_b = vec2f(abs(mouth.z - mouth.x) * 0.5 + 0.10, mouth.y + 0.03);
  let along = clamp(dot(vec2f(ax, p.y) - fold_a, fold_b - fold_a) / dot(fold_b - fold_a, fold_b - fold_a), 0.0, 1.0);
  let off = distance(vec2f(ax, p.y), mix(fold_a, fold_b, along) + vec2f(0.03, 0.0) * sin(along * 3.14));
  c *= 1.0 - min(0.14 + 0.25 * beard.w + 3.0 * bumps_low.w, 0.5) * exp(-off * off / 0.0004) * sin(along * 2.6 + 0.3);
  var out = Paint(c, SKIN, 9.0, tone.w);
  if (growth > 0.5 && beard.z > 0.5) { out.material = HAIR; out.gloss = 0.1; }
  // nostrils, and the drawn line of the nose
  let hole = (vec3f(ax, p.y, p.z) - vec3f(nose_wing.y * 0.62, nose_base.w - 0.045, nose_base.z + 0.05))
    / (vec3f(0.048, 0.03, 0.07) * max(nose_base.y, 0.02));
  var nostril = 1.0 - length(hole);
  nostril -= 1.2 * smoothstep(0.45, 0.0, n.y); // only seen from below
  out.colour = mix(out.colour, vec3f(0.10, 0.035, 0.03), 0.85 * cover(nostril, 0.25));
  if (nostril > 0.1) { out.material = DARK; }
  out.ink = min(out.ink, select(9.0, max(-nostril, 0.0) * 0.03 * nose_base.y + 0.001, nose_base.y > 0.01)); // none, no line
  let wing = vec2f(ax - nose_wing.y, p.y - nose_wing.z) / (nose_wing.w * vec2f(1.0, 0.95));
  let base = select(9.0, abs(p.y - nose_base.w + 0.02 - 0.25 * ax) + 0.004, ax < nose_wing.y * 0.5);
  let drawn = texel(STYLE_AT).w; // whole, ridge, hook, base
  if (drawn < 0.5) {
    out.ink = min(out.ink, min(select(9.0, abs(length(wing) - 1.0) * nose_wing.w + 0.004, wing.x > 0.25 && wing.y > -0.7), base));
  } else if (drawn > 2.5) {
    out.ink = min(out.ink, base);
  } else {
    out.ink = min(out.ink, nose_stroke(p.xy, drawn > 1.5));
  }
  return out;
}
fn paint_face(p: vec3f, n: vec3f, soft: f32) -> Paint {
  var out = paint_skin(p, n, soft);
  if (p.z < -0.45) { return out; }
  out = paint_brow(p.xy, brow_left, arch.x, soft, out);
  out = paint_brow(p.xy, brow_right, arch.y, soft, out);
  out = paint_eye(p.xy, eye_left, lids_left, soft, out);
  out = paint_eye(p.xy, eye_right, lids_right, soft, out);
  out = paint_mouth(p.xy, soft, out);
  let marks = texel(MARKS_AT);
  if (marks.z > 0.0) { // spectacles on the skin: lenses, rims, bridge and arms
    let glass = texel(LENSES_AT); // half of the rim's thickness, tint, reflection, size
    let centre = (eye_right.xy + eye_right.zw) * 0.5;
    let q = abs(vec2f(abs(p.x) - centre.x, p.y - centre.y - 0.03)) / (vec2f(0.25, 0.19) * glass.w);
    let power = 2.0 + 2.0 * marks.z;
    let lens = pow(pow(q.x, power) + pow(q.y, power), 1.0 / power) - 1.0;
    let bridge = select(9.0, abs(p.y - centre.y + 0.04 - 0.3 * p.x * p.x) , abs(p.x) < centre.x - 0.22 * glass.w);
    let arm = select(9.0, abs(p.y - centre.y - 0.01), abs(p.x) > centre.x + 0.22 * glass.w);
    let rim = min(abs(lens) * 0.2 * glass.w, min(bridge, arm)) - glass.x;
    let through = cover(-lens * 0.2, soft);
    let gradient = clamp(0.6 - 1.6 * (p.y - centre.y), 0.0, 1.0);
    out.colour = mix(out.colour, out.colour * vec3f(0.10, 0.09, 0.09) + vec3f(0.012, 0.010, 0.010), glass.y * through * mix(1.0, gradient, 0.4));
    let streak = smoothstep(0.05, 0.0, abs(fract((p.x * 0.8 + p.y) * 2.1 + hash(i32(seed), 8, 8)) - 0.5) - 0.10);
    out.colour = mix(out.colour, vec3f(0.80, 0.88, 0.95), glass.z * through * streak * smoothstep(0.08, -0.10, p.y - centre.y));
    if (glass.y * through > 0.6) { out.material = DARK; out.gloss = 0.5; }
    out.colour *= 1.0 - 0.25 * cover(0.02 + glass.x - abs(lens + 0.12) * 0.2, 0.03) * (1.0 - through);
    out.colour = mix(out.colour, texel(RIMS_AT).xyz, cover(-rim, soft));
    if (rim < 0.0) { out.material = DARK; out.gloss = 0.6; }
    out.ink = min(out.ink, max(rim, 0.0));
  }
  let strands = i32(texel(LINEN_AT).w);
  for (var i = 0; i < strands; i++) { // loose hair before the face
    let s = i32(seed) + 40;
    let start = (hash(i, 1, s) - 0.5) * 1.5;
    let lean = 0.5 * (hash(i, 2, s) - 0.3) * sign(start);
    let y = p.y - hair.y;
    let x = p.x - start - lean * y - 0.06 * sin(y * (2.0 + 4.0 * hash(i, 3, s)) + 6.0 * hash(i, 4, s));
    let shown = smoothstep(0.003 + 0.007 * hash(i, 5, s) + soft, 0.0, abs(x)) * smoothstep(0.5 + 1.1 * hash(i, 6, s), 0.3, y);
    out.colour = mix(out.colour, texel(HAIR_COLOUR_AT).xyz * (0.7 + 0.6 * hash(i, 7, s)), 0.85 * shown);
  }
  return out;
}
fn paint_hair(p: vec3f) -> Paint {
  let base = texel(HAIR_COLOUR_AT).xyz;
  let around = atan2(p.x - hair_form.w, p.z + 0.75);
  let flow = mix(vec2f(around * 22.0 + 0.6 * p.y, p.y * 1.6), vec2f(p.x * 34.0 + around * 4.0, p.y * 2.0), smoothstep(-0.75, 0.1, p.y));
  let warp = hair_form.y * 40.0 * noise(p.xy * 4.0, 41.0) + 0.7 * noise(p.xy * 2.2, 44.0);
  let strand = hair_form.x * (0.45 * noise(flow * 0.5 + vec2f(warp, 0.0), 42.0) + 0.35 * noise(flow * vec2f(1.6, 1.2) + vec2f(warp * 1.6, 0.0), 43.0)
    + 0.25 * noise(flow * vec2f(3.6, 1.4) + vec2f(warp * 3.0, 0.0), 45.0));
  let tint = mix(vec3f(1.0), vec3f(1.15, 1.0, 0.82), 0.5 + 0.5 * strand);
  return Paint(base * tint * max(1.0 + 0.85 * strand, 0.1), HAIR, 9.0, max(0.12 + 0.25 * strand, 0.0));
}
fn paint_neck(p: vec3f) -> Paint {
  let on = skin_plane(p);
  let below = p.y - limits.y;
  var c = texel(SKIN_AT).xyz * throat.w * (1.0 + 0.07 * fbm(on * 5.0, 1.0));
  c *= mix(vec3f(1.0), vec3f(1.02, 0.86, 0.84), texel(MARKS_AT).y * smoothstep(0.05, 0.5, below));
  for (var i = 0; i < 2; i++) { // rings round the neck
    let d = (below - 0.14 - 0.19 * f32(i) - 0.16 * throat.x - 0.35 * p.x * p.x - 0.02 * noise(on * 4.0, 67.0)) / 0.012;
    c *= 1.0 - (0.06 + 0.18 * beard.w + 0.12 * throat.x) * exp(-d * d) * smoothstep(0.45, 0.2, abs(p.x));
  }
  let growth = beard.x * smoothstep(0.50, 0.05, below + 0.12 * noise(on * 6.0, 68.0)) * smoothstep(-0.8, -0.5, p.z);
  let stubble = mix(texel(SKIN_AT).xyz * vec3f(0.60, 0.62, 0.66), texel(HAIR_COLOUR_AT).xyz, beard.z) * (1.0 + 0.3 * noise(on * vec2f(60.0, 30.0), 69.0));
  return Paint(mix(c, stubble, 0.75 * growth), NECK, 9.0, 0.1);
}
fn paint_sky(uv: vec2f) -> Paint { // uv: 0 to 1 over the image
  let a = texel(BACK_LOW_AT);
  let b = texel(BACK_HIGH_AT);
  var t = uv.y + 0.25 * noise(uv * 2.0, 51.0);
  if (a.w > 0.5) { t = 0.5 + 0.5 * fbm(uv * 2.5, 52.0); }
  var c = mix(a.xyz, b.xyz, clamp(t, 0.0, 1.0));
  if (a.w > 3.5) { // clutter of any size, as streets, shelves and crowds: cells over cells
    for (var layer = 0; layer < 4; layer++) {
      let cells = vec2f(2.3, 3.1) * pow(2.0, f32(layer)) * (0.7 + 0.6 * hash(layer, 9, i32(seed)));
      let turn = vec2f(cos(f32(layer) + seed), sin(f32(layer) + seed)) * select(0.0, 1.0, hash(layer, 10, i32(seed)) > 0.5);
      let q = uv * cells + turn * uv.yx + 0.12 * noise(uv * 9.0, 57.0);
      let cell = floor(q);
      let x = i32(cell.x); let y = i32(cell.y) + 64 * layer; let s = i32(seed);
      let shown = step(0.45, hash(x, y, s));
      let local = abs(fract(q) - 0.5 - 0.3 * (vec2f(hash(x, y, s + 1), hash(x, y, s + 2)) - 0.5)) / (0.2 + 0.35 * hash(x, y, s + 3));
      let d = select(max(local.x, local.y), length(local), hash(x, y, s + 4) > 0.5);
      let hue = vec3f(hash(x, y, s + 5), hash(x, y, s + 6), hash(x, y, s + 7)) - 0.5;
      let tint = max(mix(a.xyz, b.xyz, hash(x, y, s + 8)) * (0.25 + 1.6 * hash(x, y, s + 9)) * (1.0 + 0.7 * hue), vec3f(0.0));
      c = mix(c, tint * (1.0 + 0.3 * noise(uv * 30.0, 58.0)), 0.95 * shown * smoothstep(1.05, 0.96, d));
    }
  } else if (a.w > 2.5) { // leaves, crowds: small uneven patches
    let turned = vec2f(uv.x * 0.8 - uv.y * 0.6, uv.x * 0.6 + uv.y * 0.8);
    let patches = noise(uv * 8.0, 53.0) + 0.8 * noise(turned * 15.0, 54.0) + 0.8 * noise(uv * 33.0, 56.0);
    c = mix(a.xyz, b.xyz, smoothstep(-0.5, 0.5, fbm(uv * 3.0, 55.0))) * clamp(0.8 + 0.7 * patches, 0.1, 2.0);
  } else if (a.w > 1.5) { // big soft shapes, as furniture and windows out of focus
    for (var i = 0; i < 8; i++) {
      let at = vec2f(hash(i, 1, i32(seed)), hash(i, 2, i32(seed)));
      let size = 0.03 + 0.25 * vec2f(hash(i, 3, i32(seed)), hash(i, 4, i32(seed)));
      let q = abs(uv - at) / size;
      let d = select(max(q.x, q.y), length(q), hash(i, 5, i32(seed)) > 0.6);
      let tint = mix(a.xyz, b.xyz, hash(i, 6, i32(seed))) * (0.35 + 1.3 * hash(i, 7, i32(seed)));
      c = mix(c, tint, 0.9 * smoothstep(1.06, 0.97, d));
    }
  }
  return Paint(c, SKY, 9.0, 0.0);
}

@compute @workgroup_size(8)
fn surface(@builtin(global_invocation_id) id: vec3u) {
  let size = textureDimensions(shape_out);
  if (id.x >= size.x || id.y >= size.y) { return; }
  let layer = drawn[id.z];
  load_head(i32(layer));
  let side = f32(size.x);
  let pixels = texel(SHOT_AT).y; // side of the finished image
  let uv = (vec2f(id.xy) + 0.5) / side;
  let screen = (uv * pixels - 0.5 - camera.zw) * camera.y;
  let way = normalize(vec3f(screen, -camera.x));
  let dir = rotate_back(way);
  let origin = to_head(vec3f(0.0, 0.0, camera.x));
  let soft = camera.y * pixels / side * 0.5;
  var t = camera.x - max(1.6, 1.25 * nose_line.w + 0.7); // before the tip of the longest nose
  let far = camera.x + 2.4;
  var d = 1.0;
  for (var i = 0; i < 44; i++) {
    d = scene(origin + dir * t);
    if (d < 0.0015 || t > far) { break; }
    t += clamp(d * 0.85, 0.008, 0.5);
  }
  let at = vec2i(id.xy);
  if (t > far || d > 0.03) {
    let sky = paint_sky(uv);
    textureStore(shape_out, at, layer, vec4f(0.0, 0.0, 1.0, 0.0));
    textureStore(colour_out, at, layer, vec4f(sky.colour, SKY));
    textureStore(light_out, at, layer, vec4f(1.0, 1.0, 0.0, 1.0));
    return;
  }
  let seen = origin + dir * t;
  let p = unbend(seen);
  let on_skull = skull(p);
  let on_skin = skin_over(p, on_skull);
  let on_ear = ear(p);
  let on_beard = beard_hang(p);
  let on_hair = min(hair_over(p, on_skull), on_beard);
  let column = neck_column(p);
  let on_neck = neck(p, column);
  let on_cloth = cloth(p);
  var nearest = min(min(min(on_skin, on_ear), on_hair), min(on_neck, on_cloth));
  if (worn) { nearest = min(nearest, extras(p, column)); }
  // normal, ambient occlusion and shadow: one loop, so that the scene is compiled once more and not seven times
  let key = texel(KEY_TO_AT);
  var n = vec3f(0.0);
  var hollow = 0.0;
  var lit = 1.0;
  var h = 0.05;
  let jitter = hash(i32(id.x), i32(id.y), i32(seed) + 66); // bands of shadow become grain
  var s = 0.03 + 0.04 * jitter;
  for (var i = 0; i < 15; i++) {
    let corner = vec3f(select(-1.0, 1.0, i == 0 || i == 3), select(-1.0, 1.0, i == 1 || i == 3), select(-1.0, 1.0, i == 2 || i == 3));
    var q = seen;
    if (i < 4) { q += corner * 0.007; } else if (i < 7) { q += n * h; } else { q += n * 0.02 + key.xyz * s; }
    let gap = scene(q);
    if (i < 4) {
      n += corner * gap;
      if (i == 3) { n = normalize(n); }
    } else if (i < 7) {
      hollow += (h - gap) / h * select(0.24, 0.30, i == 5);
      h *= 2.3;
      if (i == 6 && dot(n, key.xyz) < -0.18) { break; } // turned from the light: no shadow falls there
    } else {
      lit = min(lit, key.w * gap / s + 0.08);
      s += clamp(gap, 0.06, 0.3) * (0.75 + 0.5 * jitter);
      if (lit < 0.02 || s > 1.5) { break; }
    }
  }
  lit = clamp(lit, 0.0, 1.0);
  var paint: Paint;
  if (worn && nearest < min(min(on_skin, on_hair), min(min(on_ear, on_neck), on_cloth))) {
    if (nearest == hand(p)) {
      paint = Paint(texel(SKIN_AT).xyz * vec3f(1.0, 0.94, 0.92) * (1.0 + 0.08 * fbm(p.xy * 7.0, 62.0)), NECK, 9.0, 0.1);
    } else if (nearest == collar_at(p, column)) {
      let linen = texel(LINEN_AT).xyz;
      paint = Paint(linen * (1.0 + 0.06 * fbm(p.xy * 6.0, 70.0)), CLOTH, 9.0, 0.04);
    } else {
      let own = texel(WORN_AT);
      let knit = select(0.10 * fbm(p.xy * 5.0, 63.0), 0.35 * sin(p.x * 55.0) * sin(p.y * 40.0), own.w > 0.5);
      paint = Paint(own.xyz * (1.0 + knit), CLOTH, 9.0, 0.04);
    }
  } else if (nearest == on_hair) {
    paint = paint_hair(p);
    if (nearest == on_beard) { paint.colour = mix(paint.colour, vec3f(0.10, 0.09, 0.09), 0.25); }
    n = normalize(mix(n, normalize(vec3f(p.x, p.y + 0.2, p.z + 0.8)), 0.6)); // locks are soft
  } else if (nearest == on_skin) {
    paint = paint_face(p, n, soft);
  } else if (nearest == on_ear) {
    let q = (vec2f(abs(p.x), p.y) - vec2f(temple.y + 0.035, 0.17)) / vec2f(0.05, 0.16);
    paint = Paint(texel(SKIN_AT).xyz * mix(vec3f(0.72, 0.55, 0.52), vec3f(1.03, 0.93, 0.92), smoothstep(0.3, 1.1, length(q))), EAR, 9.0, 0.1);
  } else if (nearest == on_neck) {
    paint = paint_neck(p);
  } else {
    let stripes = texel(STRIPES_AT);
    let band = step(0.0, sin(p.x * stripes.w + p.y * stripes.w * 0.3)) * step(0.1, stripes.w);
    let shirt = step(1.5, collar.x) * step(collar.x, 2.5) * step(abs(p.x), 0.5 * (2.25 - p.y)) * step(-0.9, p.z);
    paint = Paint(mix(mix(texel(CLOTH_AT).xyz, stripes.xyz, band), texel(LINEN_AT).xyz, shirt) * (1.0 + 0.10 * fbm(p.xy * 4.0, 61.0)), CLOTH, 9.0, 0.05);
  }
  if (paint.material == SKIN || paint.material == LIP || paint.material == NECK) { // pores and fine wrinkles
    let q = skin_plane(p) * 38.0;
    let rough = texel(MARKS_AT).w * (0.03 + 0.05 * beard.w);
    n = normalize(n + rough * vec3f(noise(q, 64.0), noise(q * vec2f(0.7, 1.6) + 9.0, 65.0), 0.0));
  }
  let open = clamp(1.0 - hollow, 0.0, 1.0);
  let facing = dot(n, key.xyz);
  let half = normalize(key.xyz - dir);
  let gleam = max(dot(n, half), 0.0);
  let shine = paint.gloss * (0.45 * pow(gleam, 9.0) + 0.75 * pow(gleam, mix(22.0, 70.0, paint.gloss)));
  let wrap = clamp((facing + 0.18) / 1.18, 0.0, 1.0);
  let camera_n = vec3f(dot(row_x.xyz, n), dot(row_y.xyz, n), dot(row_z.xyz, n));
  let ink = paint.ink / (camera.y * pixels);
  textureStore(shape_out, at, layer, vec4f(camera_n, t - camera.x + 3.0));
  textureStore(colour_out, at, layer, vec4f(paint.colour, paint.material));
  textureStore(light_out, at, layer, vec4f(wrap * lit, open, shine * lit, ink));
}

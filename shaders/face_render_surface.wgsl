// What is seen at each sample: normal, colour, light, distance to the nearest drawn line. Follows face_render_head.wgsl.
// out shape_out:  [side, side, faces] camera-space normal, depth (0 for the background)
// out colour_out: [side, side, faces] own colour without light, material
// out light_out:  [side, side, faces] key light, ambient occlusion, highlight, distance to a line (share of the picture)
// grid: one invocation a sample, workgroup (8 x 1 samples, face)
@group(0) @binding(2) var shape_out: texture_storage_2d_array<rgba32float, write>;
@group(0) @binding(3) var colour_out: texture_storage_2d_array<rgba32float, write>;
@group(0) @binding(4) var light_out: texture_storage_2d_array<rgba32float, write>;

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

fn cover(distance: f32, soft: f32) -> f32 { return smoothstep(-soft, soft, distance); }
fn grey(c: vec3f) -> f32 { return dot(c, vec3f(0.3, 0.59, 0.11)); }

fn paint_eye(p: vec2f, corners: vec4f, lids: vec4f, soft: f32, was: Paint) -> Paint {
  var out = was;
  let wide = distance(corners.xy, corners.zw);
  let q = eye_local(corners, p);
  if (abs(q.x - 0.5) > 1.0 || abs(q.y) > 0.4) { return out; }
  let h = lid_heights(lids, q.x);
  let beyond = abs(q.x - clamp(q.x, 0.0, 1.0)) * wide;
  let above = h.x - q.y;
  let below = q.y + h.y;
  let inside = min(above, below) * 0.85 - beyond;
  let makeup = texel(38);
  // skin around: crease over the lid, shadow under it
  let opening = lids.x + lids.y;
  let crease = abs(q.y - h.x - (0.035 + 0.02 * makeup.x) * (1.0 - pow(abs(2.0 * q.x - 1.0), 3.0)) - 0.01) + beyond * 2.0;
  out.colour *= 1.0 - 0.45 * exp(-crease * crease / 0.0003) * step(-0.02, q.y);
  out.colour *= 1.0 - 0.25 * exp(-pow((q.y + h.y + 0.02) / 0.03, 2.0)) * exp(-pow((q.x - 0.55) / 0.4, 2.0));
  out.colour = mix(out.colour, makeup.yzw, 0.6 * step(0.01, makeup.y) * cover(inside + 0.07, 0.03));
  let centre = eye_point(corners, 0.5, (lids.x - lids.y) * 0.38) + gaze.xy * vec2f(wide * 0.26, 0.035);
  let r = gaze.z;
  let to_iris = distance(p, centre);
  var eyeball = vec3f(0.64, 0.61, 0.59) * (1.0 - 0.3 * pow(clamp(abs(q.x - 0.5) * 2.0, 0.0, 1.0), 3.0));
  eyeball = mix(eyeball, vec3f(0.72, 0.42, 0.38), 0.5 * exp(-pow((1.0 - q.x) / 0.09, 2.0)));
  let iris = texel(29).xyz;
  let spokes = 0.85 + 0.3 * noise(vec2f(atan2(p.y - centre.y, p.x - centre.x) * 9.0, to_iris * 30.0), 3.0);
  var inner = iris * mix(1.0, 0.55, to_iris / r) * spokes * mix(1.0, 0.25, smoothstep(r * 0.7, r, to_iris));
  inner = mix(inner, vec3f(0.02), cover(r * gaze.w - to_iris, soft));
  let on_iris = cover(r - to_iris, soft * 0.7);
  eyeball = mix(eyeball, inner, on_iris);
  eyeball *= 1.0 - 0.6 * exp(-max(above, 0.0) / 0.022);
  let spark = centre + vec2f(0.35 * sign(texel(26).x), -0.40) * r;
  eyeball = mix(eyeball, vec3f(1.0), 0.85 * cover(r * 0.2 - distance(p, spark), soft));
  let seen = cover(inside, soft * 0.7);
  out.colour = mix(out.colour, eyeball, seen);
  if (seen > 0.5) {
    out.material = select(EYE, select(IRIS, DARK, to_iris < r * gaze.w), on_iris > 0.5);
    out.gloss = 0.7;
  }
  // lashes: a dark line that thickens outwards; a faint one below
  let lash = (0.018 + 0.011 * makeup.x) * (1.2 - 0.6 * q.x);
  let line = select(abs(above), 1.0, q.x < -0.04 || q.x > 1.02) + beyond * 0.6;
  out.colour = mix(out.colour, vec3f(0.06, 0.04, 0.035), (0.75 + 0.2 * makeup.x) * cover(lash - line, soft + 0.004));
  let under = abs(below) + beyond;
  out.colour *= 1.0 - (0.5 + 0.2 * makeup.x) * cover(0.008 - under, soft + 0.004);
  out.ink = min(out.ink, min((line - lash * 0.8) / 1.2, under * 2.2 + 0.004));
  out.ink = min(out.ink, select(9.0, abs(to_iris - r) * 1.4, seen > 0.3));
  out.ink = min(out.ink, select(9.0, to_iris - r * gaze.w, seen > 0.3));
  return out;
}
fn paint_brow(p: vec2f, ends: vec4f, height: f32, soft: f32, was: Paint) -> Paint {
  var out = was;
  let along = ends.zw - ends.xy;
  let s = (p.x - ends.x) / along.x;
  if (s < -0.15 || s > 1.15) { return out; }
  let c = clamp(s, 0.0, 1.0);
  let line = brow_point(ends, height, c);
  let slope = (brow_point(ends, height, c + 0.02).y - line.y) / (along.x * 0.02);
  let thick = arch.w * smoothstep(-0.35, 0.35, c) * mix(1.0, 0.75, c);
  let lean = sign(along.x);
  let hairs = noise(vec2f((p.x * lean - p.y * 0.8) * 62.0, p.y * 16.0), 11.0);
  let off = abs(p.y - line.y) / sqrt(1.0 + slope * slope) + abs(s - c) * abs(along.x);
  let d = thick - off + 0.010 * hairs;
  let brow = texel(31);
  out.colour = mix(out.colour, brow.xyz * (1.0 + 0.25 * hairs), brow.w * cover(d, soft + 0.012));
  if (d > 0.0 && brow.w > 0.3) { out.material = BROW; }
  out.ink = min(out.ink, max(off - thick * 0.8, 0.0) + 0.002);
  return out;
}
fn paint_mouth(p: vec2f, soft: f32, was: Paint) -> Paint {
  var out = was;
  let q = mouth_local(p);
  if (abs(q.x) > 1.15 || abs(q.y) > 0.5) { return out; }
  let e = lip_edges(q.x);
  let beyond = max(abs(q.x) - 1.0, 0.0) * 0.3;
  let lip = texel(28).xyz;
  let lines = 1.0 + 0.10 * noise(vec2f(q.x * 26.0, q.y * 5.0), 13.0);
  let on_lip = min(q.y - e.x, e.w - q.y) - beyond;
  var tint = lip * lines * select(1.06, 0.82, q.y < (e.y + e.z) * 0.5);
  out.colour = mix(out.colour, tint, cover(on_lip, soft + 0.010) * 0.9);
  if (on_lip > 0.0) { out.material = LIP; out.gloss = 0.5; }
  let in_mouth = min(q.y - e.y, e.z - q.y) - beyond;
  let gap = lips.z + lips.w;
  if (gap > 0.012) {
    let deep = clamp((q.y - e.y) / max(gap, 0.02), 0.0, 1.0);
    var dark = vec3f(0.16, 0.035, 0.03);
    let tongue = vec2f(q.x / 0.55, (q.y - e.z - 0.01) / max(gap * 0.45, 0.02));
    dark = mix(dark, vec3f(0.55, 0.20, 0.19), smile.w * cover(1.0 - length(tongue), 0.2));
    let tooth = 0.84 + 0.14 * smoothstep(0.0, 0.10, abs(fract(q.x * 4.6 + 0.5) - 0.5));
    let ivory = vec3f(0.92, 0.89, 0.82) * tooth * (1.0 - 0.55 * q.x * q.x) * mix(0.85, 1.0, smoothstep(0.0, 0.2, deep));
    let teeth = min(0.13, gap * 0.95) * smile.z * (1.0 - 0.35 * q.x * q.x);
    let on_teeth = cover(e.y + teeth - q.y, soft) * step(0.02, teeth);
    let inside = cover(in_mouth, soft * 0.7);
    out.colour = mix(out.colour, mix(dark, ivory, on_teeth), inside);
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
fn paint_skin(p: vec3f, n: vec3f, soft: f32) -> Paint {
  let tone = texel(27);
  let ax = abs(p.x);
  let mottle = fbm(p.xy * 5.0, 1.0);
  let marks = texel(33); // freckles, redness, glasses, fine grain
  var c = tone.xyz * (1.0 + 0.07 * mottle);
  let blush = bell(ax - 0.45, p.y - 0.36, 0.20, 0.17) + 0.8 * bell(p.x, p.y - nose_line.z, 0.13, 0.12) + 0.3 * bell(p.x, p.y - limits.y + 0.12, 0.2, 0.1);
  c *= mix(vec3f(1.0), vec3f(1.04, 0.80, 0.78), clamp(blush * marks.y, 0.0, 1.0));
  c *= mix(vec3f(1.0), vec3f(0.80, 0.74, 0.76), 0.75 * bell(ax - 0.31, p.y + 0.02, 0.19, 0.12));
  c = mix(c, c * vec3f(1.05, 0.34, 0.30), clamp(blush * texel(25).y, 0.0, 1.0)); // what a style paints on
  let spots = noise(p.xy * 34.0, 21.0) + 0.5 * noise(p.xy * 61.0, 22.0);
  c *= 1.0 - marks.x * 0.35 * smoothstep(0.55, 1.0, spots) * bell(ax - 0.3, p.y - 0.28, 0.4, 0.25);
  c *= 1.0 + marks.w * 0.06 * noise(p.xy * 85.0, 23.0);
  // beard and moustache grow where the skin is
  let rough = 0.05 * noise(p.xy * 9.0, 25.0) + 0.03 * noise(p.xy * 45.0, 26.0);
  let m = mouth_local(p.xy);
  let e = lip_edges(m.x);
  let lip_clear = smoothstep(0.0, 0.05, max(e.x - m.y, m.y - e.w) + max(abs(m.x) - 1.0, 0.0) * 0.3);
  let jawline = mix(0.62, -0.1, smoothstep(0.45, 0.78, ax)) + 0.12 * smoothstep(0.2, 0.5, ax) * smoothstep(0.7, 0.4, ax);
  let grows = smoothstep(-0.04, 0.10, p.y - jawline - 0.12 + rough) * smoothstep(0.12, 0.32, ax + max(p.y - mouth.y - 0.05, 0.0) * 4.0);
  let moustache = smoothstep(0.0, 0.05, p.y - nose_base.w - 0.02 + rough * 0.5) * smoothstep(0.05, -0.04, p.y - mouth.y - 0.03) * smoothstep(0.46, 0.34, ax);
  let growth = clamp(max(beard.x * grows, beard.y * moustache) * lip_clear, 0.0, 1.0);
  let bristle = 1.0 + 0.35 * noise(vec2f(p.x * 60.0, p.y * 22.0), 27.0);
  let hair_colour = mix(texel(30).xyz, vec3f(0.10, 0.09, 0.09), 0.25);
  c = mix(c, mix(hair_colour * bristle, tone.xyz * vec3f(0.62, 0.62, 0.66), 0.65 - 0.65 * beard.z), growth * mix(0.55, 0.95, beard.z));
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
  out.ink = min(out.ink, select(9.0, abs(length(wing) - 1.0) * nose_wing.w + 0.004, wing.x > 0.25 && wing.y > -0.7));
  out.ink = min(out.ink, select(9.0, abs(p.y - nose_base.w + 0.02 - 0.25 * ax) + 0.004, ax < nose_wing.y * 0.5));
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
  let marks = texel(33);
  if (marks.z > 0.0) { // spectacles: rims and bridge, on the skin
    let centre = (eye_right.xy + eye_right.zw) * 0.5;
    let q = abs(vec2f(abs(p.x) - centre.x, p.y - centre.y - 0.03)) / vec2f(0.25, 0.19);
    let lens = pow(pow(q.x, 2.0 + 2.0 * marks.z) + pow(q.y, 2.0 + 2.0 * marks.z), 1.0 / (2.0 + 2.0 * marks.z)) - 1.0;
    let bridge = select(9.0, abs(p.y - centre.y + 0.04 - 0.3 * p.x * p.x) , abs(p.x) < centre.x - 0.22);
    let arm = select(9.0, abs(p.y - centre.y - 0.01), abs(p.x) > centre.x + 0.22);
    let rim = min(abs(lens) * 0.2, min(bridge, arm)) - 0.014;
    let frame = texel(36).xyz;
    out.colour = mix(out.colour, frame, cover(-rim, soft));
    if (rim < 0.0) { out.material = DARK; out.gloss = 0.6; }
    out.ink = min(out.ink, max(rim, 0.0));
  }
  return out;
}
fn paint_hair(p: vec3f) -> Paint {
  let base = texel(30).xyz;
  let around = atan2(p.x - hair_form.w, p.z + 0.75);
  let flow = select(vec2f(around * 15.0 + 0.6 * p.y, p.y * 1.6), vec2f(p.x * 26.0 + around * 4.0, p.y * 2.0), p.y > -0.3);
  let warp = hair_form.y * 30.0 * noise(p.xy * 4.0, 41.0);
  let strand = 0.6 * noise(flow + vec2f(warp, 0.0), 42.0) + 0.4 * noise(flow * vec2f(2.7, 1.4) + vec2f(warp * 2.0, 0.0), 43.0);
  return Paint(base * (1.0 + 0.6 * strand), HAIR, 9.0, 0.2 + 0.2 * strand);
}
fn paint_sky(uv: vec2f) -> Paint { // uv: 0 to 1 over the picture
  let a = texel(34);
  let b = texel(35);
  var t = uv.y + 0.25 * noise(uv * 2.0, 51.0);
  if (a.w > 0.5) { t = 0.5 + 0.5 * fbm(uv * 2.5, 52.0); }
  var c = mix(a.xyz, b.xyz, clamp(t, 0.0, 1.0));
  if (a.w > 2.5) { // leaves, crowds: small uneven patches
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
  load_head(i32(id.z));
  let side = f32(size.x);
  let pixels = texel(24).y; // side of the finished picture
  let uv = (vec2f(id.xy) + 0.5) / side;
  let screen = (uv * pixels - 0.5 - camera.zw) * camera.y;
  let way = normalize(vec3f(screen, -camera.x));
  let dir = rotate_back(way);
  let origin = to_head(vec3f(0.0, 0.0, camera.x));
  let soft = camera.y * pixels / side * 0.5;
  var t = camera.x - 1.45;
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
    textureStore(shape_out, at, id.z, vec4f(0.0, 0.0, 1.0, 0.0));
    textureStore(colour_out, at, id.z, vec4f(sky.colour, SKY));
    textureStore(light_out, at, id.z, vec4f(1.0, 1.0, 0.0, 1.0));
    return;
  }
  let p = origin + dir * t;
  let on_skull = skull(p);
  let on_skin = skin_over(p, on_skull);
  let on_ear = ear(p);
  let on_hair = hair_over(p, on_skull);
  let on_neck = neck(p);
  let on_cloth = cloth(p);
  let nearest = min(min(min(on_skin, on_ear), on_hair), min(on_neck, on_cloth));
  let e = vec2f(0.008, -0.008);
  let n = normalize(e.xyy * scene(p + e.xyy) + e.yyx * scene(p + e.yyx) + e.yxy * scene(p + e.yxy) + e.xxx * scene(p + e.xxx));
  var paint: Paint;
  if (nearest == on_hair) {
    paint = paint_hair(p);
  } else if (nearest == on_skin) {
    paint = paint_face(p, n, soft);
  } else if (nearest == on_ear) {
    let q = (vec2f(abs(p.x), p.y) - vec2f(temple.y + 0.035, 0.17)) / vec2f(0.05, 0.16);
    paint = Paint(texel(27).xyz * mix(vec3f(0.72, 0.55, 0.52), vec3f(1.03, 0.93, 0.92), smoothstep(0.3, 1.1, length(q))), EAR, 9.0, 0.1);
  } else if (nearest == on_neck) {
    paint = Paint(texel(27).xyz * 0.94, NECK, 9.0, 0.1);
  } else {
    let stripes = texel(37);
    let band = step(0.0, sin(p.x * stripes.w + p.y * stripes.w * 0.3)) * step(0.1, stripes.w);
    paint = Paint(mix(texel(32).xyz, stripes.xyz, band) * (1.0 + 0.10 * fbm(p.xy * 4.0, 61.0)), CLOTH, 9.0, 0.05);
  }
  let key = texel(26);
  var hollow = 0.0;
  for (var i = 1; i < 3; i++) {
    let h = 0.09 * f32(i);
    hollow += (h - scene(p + n * h)) / h * 0.40 / f32(i);
  }
  let open = clamp(1.0 - hollow, 0.0, 1.0);
  var lit = 1.0;
  var s = 0.05;
  for (var i = 0; i < 8; i++) {
    let gap = scene(p + n * 0.02 + key.xyz * s);
    lit = min(lit, 3.2 * gap / s + 0.08);
    s += clamp(gap, 0.06, 0.3);
    if (lit < 0.02 || s > 1.5) { break; }
  }
  lit = clamp(lit, 0.0, 1.0);
  let facing = dot(n, key.xyz);
  let half = normalize(key.xyz - dir);
  let shine = paint.gloss * pow(max(dot(n, half), 0.0), mix(18.0, 60.0, paint.gloss));
  let wrap = clamp((facing + 0.18) / 1.18, 0.0, 1.0);
  let camera_n = vec3f(dot(row_x.xyz, n), dot(row_y.xyz, n), dot(row_z.xyz, n));
  let ink = paint.ink / (camera.y * pixels);
  textureStore(shape_out, at, id.z, vec4f(camera_n, t - camera.x + 3.0));
  textureStore(colour_out, at, id.z, vec4f(paint.colour, paint.material));
  textureStore(light_out, at, id.z, vec4f(wrap * lit, open, shine * lit, ink));
}

// From what is seen to an image in a style: light and lines (shade), the medium (paint), paper and lens (pack).
// Follows face_render_params.wgsl. in styles: packStyle() in faces/render/render.ts; lengths are shares of the image's side
// in shape, colour, light: what face_render_surface.wgsl wrote   in/out canvas: [side, side, faces] sRGB in 0..1, nearness of a feature
// out pixels: [faces, size, size] RGBA, one byte each
// grid: one invocation a sample (shade, paint) or a pixel (pack), workgroup (8 x 1, face)
const MOST_FACES = 128;
struct Style {
  shade: vec4f, // kind (0 smooth, 1 cel, 2 flat), levels, softness, flat colours
  light: vec4f, // key, ambient, shine, gamma of the light
  shadow: vec4f, // tint of the shadow; w: blush of the shadow's edge
  line: vec4f, // outline, feature line, wobble, opacity
  line_colour: vec4f, // w: how much the line takes the colour under it
  fill: vec4f, // amount over the paper, saturation, contrast, brightness
  tone: vec4f, // hue turn (radians), posterise levels, background kind, background detail
  paper: vec4f, // colour; grain
  marks: vec4f, // kind, spacing, angle, strength
  marks_colour: vec4f, // w: lightest tone that gets marks
  medium: vec4f, // kind, size, strength, edge
  edge_colour: vec4f, // w: weave of the paper
  palette_form: vec4f, // kind (0 none, 1 by lightness, 2 nearest), colours, mix, dither
  lens: vec4f, // blur, noise, vignette, fade
  medium_more: vec4f, // share of the plain image at eyes, nose and mouth; stray colour; bare corners, their raggedness
  back_low: vec4f, // background colours of the style; w: use them
  back_high: vec4f, // w: how far the background's colours stray
  rim: vec4f, // light from behind; w: the palette is for the background as well
  line_more: vec4f, // least step back that makes an outline; whether a line parts face and neck; cracks
  palette: array<vec4f, 8>,
}
@group(0) @binding(1) var<uniform> styles: array<Style, MOST_FACES>; // one a face
@group(0) @binding(2) var shape: texture_storage_2d_array<rgba32float, read>;
@group(0) @binding(3) var colour: texture_storage_2d_array<rgba32float, read>;
@group(0) @binding(4) var light: texture_storage_2d_array<rgba32float, read>;
@group(0) @binding(5) var canvas_in: texture_storage_2d_array<rgba32float, read>;
@group(0) @binding(6) var canvas_out: texture_storage_2d_array<rgba32float, write>;
@group(0) @binding(7) var<storage, read_write> pixels: array<u32>;

var<private> side: f32;

fn grey(c: vec3f) -> f32 { return dot(c, vec3f(0.3, 0.59, 0.11)); }
fn near(uv: vec2f) -> vec2i { return clamp(vec2i(floor(uv * side)), vec2i(0), vec2i(i32(side) - 1)); }
fn canvas(uv: vec2f) -> vec4f { return textureLoad(canvas_in, near(uv), face); }

// --- shade ---

fn turn_hue(c: vec3f, a: f32) -> vec3f { // rotation about the grey axis
  let k = vec3f(0.57735);
  return c * cos(a) + cross(k, c) * sin(a) + k * dot(k, c) * (1.0 - cos(a));
}
fn plain_colour(own: vec3f, material: f32) -> vec3f {
  if (material < 0.5) { return own; }
  if (material < 3.5) { return texel(SKIN_AT).xyz; }
  if (material < 4.5) { return texel(HAIR_COLOUR_AT).xyz; }
  if (material < 5.5) { return own; }
  if (material < 6.5) { return vec3f(0.9); }
  if (material > 7.5 && material < 8.5) { return texel(LIP_AT).xyz; }
  if (material > 8.5 && material < 9.5) { return vec3f(0.13, 0.03, 0.03); }
  if (material > 9.5 && material < 10.5) { return vec3f(0.9, 0.9, 0.85); }
  if (material > 10.5 && material < 11.5) { return texel(BROW_COLOUR_AT).xyz * 0.8; }
  return own;
}
// Parts that make an outline where they meet.
fn part(material: f32) -> f32 {
  if (material > 5.5 || (material == 2.0 && styles[face].line_more.y < 0.5)) { return 1.0; }
  return material;
}
fn outline(at: vec2i, uv: vec2f) -> f32 {
  let reach = styles[face].line.x * side * (1.0 + 0.5 * noise(uv * 9.0, 71.0));
  if (reach <= 0.0) { return 0.0; }
  let own = textureLoad(shape, at, face);
  let here = textureLoad(colour, at, face).w;
  let mine = part(here);
  let no_jaw = styles[face].line_more.y < 0.5;
  var ink = 0.0;
  for (var k = 0; k < 8; k++) {
    let a = f32(k) * 0.7853982;
    let step_to = vec2f(cos(a), sin(a));
    for (var r = 1; r <= 2; r++) {
      let far = reach * f32(r) * 0.5;
      let to = clamp(at + vec2i(round(step_to * max(far, 0.75))), vec2i(0), vec2i(i32(side) - 1));
      let other = textureLoad(shape, to, face);
      let there = textureLoad(colour, to, face).w;
      let theirs = part(there);
      let jaw = (here == 2.0) != (there == 2.0) && mine == theirs && no_jaw;
      let step_back = abs(other.w - own.w) > styles[face].line_more.x && own.w > 0.0 && other.w > 0.0 && !jaw;
      if (theirs != mine || step_back) { ink = max(ink, select(1.0, clamp(far / 0.75, 0.0, 1.0), far < 0.75)); }
    }
  }
  return ink;
}
// Share of ink that a pattern of marks lays down at a tone; marks get denser as the tone gets darker.
fn mark(uv: vec2f, tone: f32, n: vec3f) -> f32 {
  let kind = i32(styles[face].marks.x);
  let gap = max(styles[face].marks.y, 2.6 / side);
  let dark = clamp((styles[face].marks_colour.w - tone) / max(styles[face].marks_colour.w, 0.01), 0.0, 1.0);
  var angle = styles[face].marks.z;
  if (kind == 1 || kind == 2) { // hatching, with a second layer across for cross-hatching
    var ink = 0.0;
    for (var layer = 0; layer < 3; layer++) {
      let start = f32(layer) * 0.28;
      if (layer > 0 && kind == 1) { break; }
      let a = angle + f32(layer) * 1.1;
      let along = vec2f(cos(a), sin(a));
      let across = dot(uv, vec2f(-along.y, along.x)) + 0.006 * noise(uv * 14.0, 72.0 + f32(layer));
      let broken = 0.5 + 0.5 * noise(vec2f(dot(uv, along) * 11.0, floor(across / gap)), 75.0);
      let stripe = abs(fract(across / gap) - 0.5) * 2.0;
      let wide = clamp((dark - start) * 1.6, 0.0, 0.95);
      ink = max(ink, smoothstep(1.0 - wide - 0.25, 1.0 - wide + 0.25, stripe + 0.2 * broken - 0.1) * step(0.02, wide));
    }
    return ink;
  }
  if (kind == 3) { // stippling: jittered points
    let cell = floor(uv / gap);
    var ink = 0.0;
    for (var k = 0; k < 9; k++) {
      let c = cell + vec2f(f32(k % 3) - 1.0, f32(k / 3) - 1.0);
      let jitter = vec2f(hash(i32(c.x), i32(c.y), 1), hash(i32(c.x), i32(c.y), 2));
      let r = gap * 0.75 * sqrt(dark) * step(hash(i32(c.x), i32(c.y), 3), dark * 1.3);
      ink = max(ink, smoothstep(r, r * 0.6, distance(uv, (c + jitter) * gap)) * step(0.001, r));
    }
    return ink;
  }
  if (kind == 4) { // halftone: a turned grid of dots
    let turned = vec2f(uv.x * cos(angle) - uv.y * sin(angle), uv.x * sin(angle) + uv.y * cos(angle)) / gap;
    let r = distance(fract(turned), vec2f(0.5)) * 1.41;
    return smoothstep(sqrt(dark) + 0.12, sqrt(dark) - 0.12, r) * step(0.01, dark);
  }
  if (kind == 5 || kind == 6) { // lines that follow the form: engraving; coarser and cut: woodcut
    let bend = vec2f(uv.x + n.x * 0.05, uv.y - n.y * 0.09 + 0.02 * n.x * n.x);
    var across = bend.y * cos(angle) + bend.x * sin(angle);
    if (kind == 6) { across += 0.010 * noise(uv * 7.0, 76.0); }
    let stripe = abs(fract(across / gap) - 0.5) * 2.0;
    let soft = select(0.3, 0.12, kind == 6);
    let wide = select(clamp(dark * 1.25, 0.0, 1.0), smoothstep(0.15, 0.85, dark) * 1.3, kind == 6);
    return smoothstep(1.0 - wide - soft, 1.0 - wide + soft, stripe) * step(0.02, wide);
  }
  return 0.0;
}
fn near_palette(c: vec3f, uv: vec2f) -> vec3f {
  let count = i32(styles[face].palette_form.y);
  let dither = styles[face].palette_form.w * (hash(i32(uv.x * side), i32(uv.y * side), 9) - 0.5);
  if (styles[face].palette_form.x < 1.5) {
    let t = clamp(grey(c) + dither, 0.0, 0.999) * f32(count);
    return styles[face].palette[i32(t)].xyz;
  }
  var best = styles[face].palette[0].xyz;
  var least = 1e9;
  for (var i = 0; i < count; i++) {
    let d = c + dither - styles[face].palette[i].xyz;
    let away = dot(d * d, vec3f(0.3, 0.59, 0.11));
    if (away < least) { least = away; best = styles[face].palette[i].xyz; }
  }
  return best;
}

@compute @workgroup_size(8)
fn shade(@builtin(global_invocation_id) id: vec3u) {
  let size = textureDimensions(shape);
  if (id.x >= size.x || id.y >= size.y) { return; }
  face = i32(id.z);
  side = f32(size.x);
  seed = texel(SHOT_AT).x;
  let uv = (vec2f(id.xy) + 0.5) / side;
  let shake = styles[face].line.z * vec2f(fbm(uv * 7.0, 77.0), fbm(uv * 7.0, 78.0));
  let at = near(uv + shake);
  let strayed = near(uv + shake + styles[face].medium_more.y * vec2f(fbm(uv * 4.0, 93.0), fbm(uv * 4.0, 94.0)));
  let form = textureLoad(shape, strayed, face);
  let own = textureLoad(colour, strayed, face);
  let lit = textureLoad(light, strayed, face);
  let drawn = textureLoad(light, at, face).w;
  let behind = own.w < 0.5;
  var base = mix(own.xyz, plain_colour(own.xyz, own.w), styles[face].shade.w);
  var c: vec3f;
  let kind = styles[face].shade.x;
  if (behind) {
    c = base;
  } else if (kind < 0.5) {
    let skin = select(0.0, 1.0, own.w < 3.5 || own.w == 8.0);
    let under = mix(vec3f(1.0), vec3f(0.78, 1.08, 1.16), skin); // red light goes further below the skin
    var key = texel(KEY_AT).xyz * styles[face].light.x * pow(vec3f(lit.x), styles[face].light.w * under);
    for (var i = 0; i < 2; i++) { // other lights, without shadows of their own
      let to = texel(LIGHTS_AT + 2 * i);
      key += texel(LIGHTS_AT + 2 * i + 1).xyz * styles[face].light.x * lit.y * clamp((dot(form.xyz, to.xyz) + to.w) / (1.0 + to.w), 0.0, 1.0);
    }
    let ground = texel(GROUND_AT).xyz;
    let fill_light = mix(texel(AMBIENT_AT).xyz, ground, 0.5 + 0.5 * form.y) * styles[face].light.y * lit.y * lit.y;
    let rim = pow(1.0 - clamp(form.z, 0.0, 1.0), 3.0) * texel(AMBIENT_AT).w;
    let red_edge = vec3f(1.0, 0.55, 0.45) * styles[face].shadow.w * lit.x * (1.0 - lit.x) * step(own.w, 3.5);
    c = base * (key + fill_light + red_edge) + (lit.z * styles[face].light.z + rim) * texel(KEY_AT).xyz;
    c = mix(c, c * (0.4 + styles[face].shadow.xyz), (1.0 - lit.x) * 0.5);
    c += styles[face].rim.xyz * pow(1.0 - clamp(form.z, 0.0, 1.0), 2.0);
  } else if (kind < 1.5) {
    let raw = clamp(lit.x * 0.85 + lit.y * 0.35 - 0.15, 0.0, 1.0);
    let steps = styles[face].shade.y;
    let scaled = raw * (steps - 1.0);
    let lower = floor(scaled + 0.35);
    let blend = smoothstep(0.5 - styles[face].shade.z, 0.5 + styles[face].shade.z, scaled + 0.35 - lower);
    var t = clamp((lower + select(0.0, blend - 0.5, styles[face].shade.z > 0.01)) / (steps - 1.0), 0.0, 1.0);
    if ((own.w > 5.5 && own.w < 7.5) || own.w > 11.5) { t = mix(t, 1.0, 0.8); }
    c = base * mix(styles[face].shadow.xyz, vec3f(styles[face].light.x), t);
    if (own.w == 4.0) { c += step(0.55, lit.z) * 0.16 * styles[face].light.z; }
  } else {
    c = base * styles[face].light.x;
  }
  c = pow(clamp(c, vec3f(0.0), vec3f(4.0)), vec3f(1.0 / 2.2));
  if (kind < 0.5) { // highlights roll off as on film
    let over = max(c - 0.7, vec3f(0.0));
    c = min(c, vec3f(0.7)) + 0.28 * (1.0 - exp(-over / 0.28));
  }
  if (behind) {
    if (styles[face].tone.z > 0.5 && styles[face].tone.z < 1.5) { c = styles[face].paper.xyz; }
    if (styles[face].back_low.w > 0.5) {
      var t = uv.y + 0.15 * fbm(uv * 3.0, 79.0) * styles[face].tone.w;
      if (styles[face].tone.z > 4.5) {
        t = smoothstep(-0.2, 0.2, fbm(uv * 4.0, 79.0));
      } else if (styles[face].tone.z > 3.5) {
        let soft = 0.01 + 0.3 * styles[face].tone.w;
        t = smoothstep(0.46 - soft, 0.46 + soft, distance(uv, vec2f(0.5, 0.44)));
      } else if (styles[face].tone.z > 2.5) {
        t = 0.5 + 0.5 * sign(sin(atan2(uv.y - 0.5, uv.x - 0.5) * 12.0));
      }
      c = mix(styles[face].back_low.xyz, styles[face].back_high.xyz, clamp(t, 0.0, 1.0));
      c = turn_hue(c, styles[face].back_high.w * 6.28 * (hash(i32(seed), 3, 3) - 0.5)) * (1.0 + styles[face].back_high.w * (hash(i32(seed), 3, 4) - 0.5));
    }
  }
  let mean = grey(c);
  c = mix(vec3f(mean), c, styles[face].fill.y);
  c = turn_hue(c, styles[face].tone.x);
  c = clamp((c - 0.5) * styles[face].fill.z + 0.5 + styles[face].fill.w, vec3f(0.0), vec3f(1.0));
  if (styles[face].tone.y > 1.0) { c = floor(c * styles[face].tone.y + 0.5) / styles[face].tone.y; }
  if (styles[face].palette_form.x > 0.5 && (!behind || styles[face].rim.w > 0.5)) { c = mix(c, near_palette(c, uv), styles[face].palette_form.z); }
  let tone_here = grey(c);
  c = mix(styles[face].paper.xyz, c, styles[face].fill.x);
  let plain_back = behind && styles[face].tone.z > 0.5;
  if (styles[face].marks.x > 0.5 && !plain_back) {
    c = mix(c, styles[face].marks_colour.xyz, mark(uv, tone_here, form.xyz) * styles[face].marks.w);
  }
  var ink = outline(at, uv);
  if (styles[face].line.y > 0.0) {
    let wide = styles[face].line.y * (1.0 + 0.4 * noise(uv * 12.0, 73.0));
    let soft = max(0.6 / side, wide * 0.25);
    ink = max(ink, smoothstep(wide + soft, wide - soft, drawn));
    if (own.w > 11.5 || own.w == 11.0) { ink = max(ink, 0.85); }
  }
  c = mix(c, mix(styles[face].line_colour.xyz, c * styles[face].line_colour.xyz, styles[face].line_colour.w), ink * styles[face].line.w);
  let far = length(uv - vec2f(0.5, 0.44)) + styles[face].medium_more.w * fbm(uv * 5.0, 80.0);
  c = mix(c, styles[face].paper.xyz, styles[face].medium_more.z * smoothstep(0.40, 0.54, far));
  textureStore(canvas_out, vec2i(id.xy), face, vec4f(c, smoothstep(0.03, 0.004, drawn)));
}

// --- paint ---

// Direction across which the image changes, by the lightness around a point.
fn gradient(uv: vec2f, reach: f32) -> vec2f {
  let x = grey(canvas(uv + vec2f(reach, 0.0)).xyz) - grey(canvas(uv - vec2f(reach, 0.0)).xyz);
  let y = grey(canvas(uv + vec2f(0.0, reach)).xyz) - grey(canvas(uv - vec2f(0.0, reach)).xyz);
  return vec2f(x, y);
}
// Kuwahara: the calmest of four quadrants.
fn smooth_paint(uv: vec2f, radius: f32) -> vec3f {
  var best = vec3f(0.0);
  var least = 1e9;
  for (var q = 0; q < 4; q++) {
    let way = vec2f(select(-1.0, 1.0, (q & 1) == 1), select(-1.0, 1.0, q > 1)) * radius / 3.0;
    var sum = vec3f(0.0);
    var squares = vec3f(0.0);
    for (var k = 0; k < 16; k++) {
      let c = canvas(uv + way * vec2f(f32(k % 4), f32(k / 4))).xyz;
      sum += c;
      squares += c * c;
    }
    sum /= 16.0;
    let spread = grey(abs(squares / 16.0 - sum * sum));
    if (spread < least) { least = spread; best = sum; }
  }
  return best;
}
// Brush strokes: of the strokes that reach a point, the one that was painted last.
fn strokes(uv: vec2f, size: f32, long: f32) -> vec3f {
  var result = smooth_paint(uv, size * 0.8);
  for (var layer = 0; layer < 2; layer++) {
    let cell_size = size * select(1.0, 0.6, layer == 1);
    let cell = floor(uv / cell_size);
    var top = -1.0;
    for (var k = 0; k < 25; k++) {
      let c = cell + vec2f(f32(k % 5) - 2.0, f32(k / 5) - 2.0);
      let x = i32(c.x); let y = i32(c.y);
      let order = hash(x, y, 10 + layer);
      if (order < top || (layer == 1 && order < 0.35)) { continue; }
      let at = (c + vec2f(hash(x, y, 1 + layer), hash(x, y, 3 + layer))) * cell_size;
      let g = gradient(at, cell_size * 0.7);
      var way = vec2f(-g.y, g.x);
      if (length(g) < 0.03) { way = vec2f(cos(styles[face].marks.z + noise(at * 3.0, 81.0) * 1.5), sin(styles[face].marks.z + noise(at * 3.0, 81.0) * 1.5)); }
      way = normalize(way);
      let d = uv - at;
      let q = vec2f(dot(d, way) / (long * cell_size), dot(d, vec2f(-way.y, way.x)) / (cell_size * 0.52));
      let bristle = 0.12 * noise(vec2f(q.y * 7.0 + order * 50.0, q.x * 1.5), 82.0);
      if (dot(q, q) + bristle < 1.0) {
        top = order;
        let tint = 1.0 + styles[face].medium.w * (0.20 * (hash(x, y, 6) - 0.5) + 0.10 * noise(vec2f(q.y * 6.0, order * 90.0), 83.0));
        result = canvas(at).xyz * tint;
      }
    }
  }
  return result;
}
// Nearest and second nearest point of a jittered grid: centre of the nearest, and how far the border is.
struct Cell { centre: vec2f, border: f32, id: f32 }
fn cells(uv: vec2f, size: f32, jitter: f32) -> Cell {
  let cell = floor(uv / size);
  var out = Cell(vec2f(0.0), 0.0, 0.0);
  var first = 9.0;
  var second = 9.0;
  for (var k = 0; k < 9; k++) {
    let c = cell + vec2f(f32(k % 3) - 1.0, f32(k / 3) - 1.0);
    let at = (c + 0.5 + jitter * (vec2f(hash(i32(c.x), i32(c.y), 1), hash(i32(c.x), i32(c.y), 2)) - 0.5)) * size;
    let d = distance(uv, at);
    if (d < first) {
      second = first;
      first = d;
      out.centre = at;
      out.id = hash(i32(c.x), i32(c.y), 4);
    } else if (d < second) { second = d; }
  }
  out.border = (second - first) * 0.5;
  return out;
}

@compute @workgroup_size(8)
fn paint(@builtin(global_invocation_id) id: vec3u) {
  let size = textureDimensions(canvas_in);
  if (id.x >= size.x || id.y >= size.y) { return; }
  face = i32(id.z);
  side = f32(size.x);
  seed = texel(SHOT_AT).x;
  let uv = (vec2f(id.xy) + 0.5) / side;
  let plain = textureLoad(canvas_in, vec2i(id.xy), face);
  let kind = i32(styles[face].medium.x);
  if (kind == 0) {
    textureStore(canvas_out, vec2i(id.xy), face, plain);
    return;
  }
  let grain = max(styles[face].medium.y, 2.0 / side);
  var c = plain.xyz;
  if (kind == 1) {
    c = smooth_paint(uv, grain) * (1.0 + styles[face].medium.w * 0.10 * noise(uv * vec2f(60.0, 25.0), 84.0));
  } else if (kind == 2) {
    c = strokes(uv, grain, 1.6);
  } else if (kind == 3) { // mosaic: stones and grout
    let stone = cells(uv, grain, 0.55);
    c = canvas(stone.centre).xyz * (0.90 + 0.22 * stone.id);
    c = mix(styles[face].edge_colour.xyz, c, smoothstep(styles[face].medium.w * grain * 0.4, styles[face].medium.w * grain, stone.border));
  } else if (kind == 4) { // pixels
    let block = (floor(uv / grain) + 0.5) * grain;
    var sum = vec3f(0.0);
    for (var k = 0; k < 9; k++) {
      sum += canvas(block + (vec2f(f32(k % 3), f32(k / 3)) - 1.0) * grain * 0.33).xyz;
    }
    c = sum / 9.0;
    c = floor(c * 7.0 + 0.5) / 7.0;
  } else if (kind == 5) { // stained glass: leads round the panes; what is drawn is painted on the glass
    let pane = cells(uv, grain, 0.9);
    let glass = mix(plain.xyz, canvas(pane.centre).xyz, 0.25);
    c = glass * (0.8 + 0.5 * pane.id) * (1.0 + 0.12 * fbm(uv * 14.0, 85.0));
    c = mix(styles[face].edge_colour.xyz, c, smoothstep(styles[face].medium.w * grain * 0.5, styles[face].medium.w * grain, pane.border));
  } else if (kind == 6) { // watercolour: bleeding, dark rims, granulation
    let bleed = 0.35 * grain * vec2f(fbm(uv * 16.0, 86.0), fbm(uv * 16.0, 87.0));
    c = smooth_paint(uv + bleed, grain);
    let g = gradient(uv + bleed, grain * 0.5);
    c *= 1.0 - styles[face].medium.w * clamp(length(g) * 1.6, 0.0, 0.5);
    let wash = 0.5 + 0.5 * fbm(uv * 5.0, 88.0);
    c = mix(styles[face].paper.xyz, c, 0.72 + 0.28 * wash) * (1.0 - 0.12 * styles[face].medium.w * noise(uv * 50.0, 89.0) * (1.2 - grey(c)));
  } else if (kind == 7) { // points of pure colour
    c = styles[face].paper.xyz;
    for (var layer = 0; layer < 2; layer++) {
      let dot_at = cells(uv + f32(layer) * 0.37 * grain, grain, 0.7);
      let start = dot_at.centre - f32(layer) * 0.37 * grain;
      let local = canvas(start).xyz;
      let shift = turn_hue(local, (dot_at.id - 0.5) * 1.5 * styles[face].medium.w);
      c = mix(c, mix(local, shift, 0.5), smoothstep(0.62, 0.5, distance(uv, start) / grain));
    }
  } else if (kind == 8) { // stitches
    let block = floor(uv / grain);
    let q = abs(fract(uv / grain) - 0.5);
    let cross_at = smoothstep(0.20, 0.10, abs(q.x - q.y));
    c = canvas((block + 0.5) * grain).xyz;
    c = floor(c * 6.0 + 0.5) / 6.0 * (0.62 + 0.42 * cross_at);
  } else if (kind == 9) { // facets: cut planes of colour
    let plane = cells(uv, grain, 0.95);
    c = mix(canvas(plane.centre).xyz, plain.xyz, styles[face].medium.z) * (0.88 + 0.24 * plane.id);
  } else if (kind == 10) { // pencil and pastel: colour dragged along strokes, paper between
    let along = vec2f(cos(styles[face].marks.z), sin(styles[face].marks.z));
    var sum = vec3f(0.0);
    for (var k = -3; k <= 3; k++) { sum += canvas(uv + along * grain * f32(k) * 0.4).xyz; }
    let tooth = noise(vec2f(dot(uv, vec2f(-along.y, along.x)) / grain * 2.0, dot(uv, along) / grain * 0.35), 90.0);
    let bare = smoothstep(0.15, 0.9, tooth + 0.35 * noise(uv * 70.0, 91.0)) * styles[face].medium.w;
    c = mix(mix(sum / 7.0, plain.xyz, 0.55), styles[face].paper.xyz, bare);
  }
  // painters work finer round eyes, nose and mouth
  let fine = select(0.0, plain.w * styles[face].medium_more.x, kind != 4 && kind != 3 && kind != 8);
  c = mix(plain.xyz, c, select(styles[face].medium.z, 1.0, kind == 9) * (1.0 - fine));
  textureStore(canvas_out, vec2i(id.xy), face, vec4f(c, plain.w));
}

// --- pack ---

@compute @workgroup_size(8)
fn pack(@builtin(global_invocation_id) id: vec3u) {
  let samples = textureDimensions(canvas_in).x;
  face = i32(id.z);
  side = f32(samples);
  seed = texel(SHOT_AT).x;
  let size = u32(texel(SHOT_AT).y);
  if (id.x >= size || id.y >= size) { return; }
  let uv = (vec2f(id.xy) + 0.5) / f32(size);
  let per = side / f32(size);
  let lens = texel(LENS_AT); // this image's own blur (pixels), noise, exposure, warmth
  let sigma = max(per * 0.36, (styles[face].lens.x * lens.x) * per);
  let reach = i32(clamp(ceil(sigma * 2.0), 1.0, 8.0));
  let even = 1 - (i32(samples) / i32(size)) % 2; // the centre of a pixel lies between samples
  var sum = vec4f(0.0);
  for (var y = -reach; y <= reach - even; y++) {
    for (var x = -reach; x <= reach - even; x++) {
      let o = vec2f(f32(x), f32(y)) + 0.5 * f32(even);
      let w = exp(-dot(o, o) / (2.0 * sigma * sigma));
      sum += vec4f(canvas(uv + o / side).xyz, 1.0) * w;
    }
  }
  var c = sum.xyz / sum.w;
  let real = styles[face].lens.y;
  let curve = c * c * (3.0 - 2.0 * c);
  c = mix(c, curve, real * texel(FILM_AT).y);
  c = mix(vec3f(grey(c)), c, 1.0 + real * (mix(texel(FILM_AT).z, 0.0, texel(FILM_AT).x) - 1.0));
  c = c * (1.0 + real * lens.z) * (1.0 + real * lens.w * vec3f(0.12, 0.0, -0.12));
  let px = vec2i(id.xy);
  let salt = i32(seed);
  let grain = vec3f(hash(px.x, px.y, salt + 1), hash(px.x, px.y, salt + 2), hash(px.x, px.y, salt + 3)) - 0.5;
  c += real * lens.y * (grain * 0.6 + grain.x * 0.6);
  c += styles[face].paper.w * (0.5 * (grain.y + 0.0) + 0.5 * fbm(uv * 40.0, 92.0));
  let weave = styles[face].edge_colour.w * (sin(uv.x * 330.0) * 0.5 + sin(uv.y * 330.0) * 0.5);
  c *= 1.0 + weave;
  let cracks = styles[face].line_more.z;
  if (cracks > 0.0) { // a few long ones, and a finer net between them
    let bent = uv + 0.015 * vec2f(noise(uv * 17.0, 95.0), noise(uv * 17.0, 96.0));
    let wide = 0.5 / f32(size) * (0.6 + 0.4 * noise(uv * 6.0, 97.0));
    let long = smoothstep(wide, 0.2 * wide, cells(bent, 0.13, 0.9).border);
    let fine = 0.7 * smoothstep(0.8 * wide, 0.1 * wide, cells(bent + 3.0, 0.045, 0.9).border);
    c *= 1.0 - cracks * max(long, fine);
  }
  let out = uv - 0.5;
  c *= 1.0 - styles[face].lens.z * smoothstep(0.15, 0.55, dot(out, out) * 1.4);
  c = mix(c, vec3f(0.5), styles[face].lens.w);
  let b = vec3u(clamp(c, vec3f(0.0), vec3f(1.0)) * 255.0 + 0.5);
  pixels[(id.z * size + id.y) * size + id.x] = b.x | (b.y << 8u) | (b.z << 16u) | (255u << 24u);
}

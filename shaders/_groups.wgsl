// Groups of G channels, which begin and end within texels.

// Which lanes of a texel of channels are in the group that begins at a channel.
fn in_group(c4: i32, first: i32) -> vec4<bool> {
  let channel = 4 * c4 + vec4i(0, 1, 2, 3);
  return (channel >= vec4i(first)) & (channel < vec4i(first + u.G));
}

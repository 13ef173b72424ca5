/**
 * Colours as style files have them, `#rrggbb`.
 *
 * @module
 */
import { mix } from "../numbers.ts";

/** A colour by hue (degrees), saturation and lightness (0 to 1). */
export function hsl(hue: number, saturation: number, lightness: number): string {
  const reach = saturation * Math.min(lightness, 1 - lightness);
  const channel = (n: number): string => {
    const k = (n + (((hue % 360) + 360) % 360) / 30) % 12;
    const value = lightness - reach * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return Math.round(value * 255).toString(16).padStart(2, "0");
  };
  return `#${channel(0)}${channel(8)}${channel(4)}`;
}

const channels = (hex: string): number[] => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

/** Lightness of a colour, 0 to 1. */
export function lightness(hex: string): number {
  const [r, g, b] = channels(hex);
  return (0.3 * r! + 0.59 * g! + 0.11 * b!) / 255;
}

/** Goes from one colour (t = 0) to another (t = 1). */
export function blendHex(a: string, b: string, t: number): string {
  const to = channels(b);
  return `#${channels(a).map((v, i) => Math.round(mix(v, to[i]!, t)).toString(16).padStart(2, "0")).join("")}`;
}

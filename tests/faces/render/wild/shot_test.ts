import assert from "node:assert/strict";
import { sampleShot, type Shot } from "../../../../faces/render/render.ts";
import { loadStyle } from "../../../../faces/render/styles.ts";
import { stageShot } from "../../../../faces/render/wild/shot.ts";
import { Random } from "../../../../engine/rng.ts";

const { render: photo } = await loadStyle("pipelines/styles/photo.yaml");

Deno.test("stageShot() turns a third of the heads evenly, most of those with a nose of one line to three quarters, and comes close to some", () => {
  const shot = sampleShot(new Random(1, "s"));
  const staged = (nose: "whole" | "ridge", yaw_deg: number) =>
    Array.from(
      { length: 600 },
      (_, at) => stageShot(shot, { ...photo, line: { ...photo.line, nose } }, new Random(2, "t", at), { yaw_deg }),
    );
  const turns = (shots: readonly Shot[]) =>
    shots.map(({ pose }) => pose[0]).filter((yaw) => yaw !== shot.pose[0]).map((yaw) => Math.abs(yaw) * 180 / Math.PI);
  const whole = staged("whole", 30);
  const even = turns(whole);
  assert(even.length > 150 && even.length < 270, `${even.length} of 600`);
  assert(Math.max(...even) <= 30 && even.filter((yaw) => yaw > 20).length > even.length / 4);
  const aside = turns(staged("ridge", 75));
  assert(aside.length > 430 && aside.length < 530, `${aside.length} of 600`);
  assert(Math.min(...aside) >= 22 && Math.max(...aside) <= 55);
  const close = whole.filter(({ distance }) => distance !== shot.distance);
  assert(close.length > 60 && close.length < 120, `${close.length} of 600`);
  assert(close.every(({ distance }) => distance >= 3.4 && distance <= 6));
  const grin = { ...photo, shape: { ...photo.shape, mouth_width: 1.5 } };
  const grins = whole.map((_, at) => stageShot(shot, grin, new Random(2, "t", at), { yaw_deg: 30 }));
  const laughing = grins.filter(({ open, smile, teeth }) => open >= 0.3 && smile >= 0.4 && teeth >= 0.8);
  assert(laughing.length > 250 && laughing.length < 350, `${laughing.length} of 600 laugh`);
  assert(whole.every(({ open }) => open === shot.open));
});

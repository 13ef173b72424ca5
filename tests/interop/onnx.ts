// Compares the Python of docs/onnx.md with findFaces() on pictures without loss, see README.md.
import { readImage } from "../../faces/data/image_file.ts";
import { boundingBox, CROP_SCALE } from "../../faces/landmarks.ts";
import { median } from "../../faces/statistics.ts";
import { openDevice } from "../../engine/device.ts";
import { loadDetector, readDetector } from "../../models/detectors/detector.ts";
import { detectorOnnx } from "../../models/detectors/detector_onnx.ts";
import { findFaces } from "../../models/detectors/find_faces.ts";
import { finderOnnx, loadFinder, readFinder } from "../../models/finder/finder.ts";

const [python, ...pictures] = Deno.args;
if (python === undefined || pictures.length === 0) {
  throw new Error("the arguments are the Python to run and PNG files, see README.md");
}
const dir = await Deno.makeTempDir();
const [FINDER, DETECTOR] = ["models/faces/finder", "models/faces"];
const [net, points] = [await readFinder(FINDER), await readDetector(DETECTOR)];
await Deno.writeFile(`${dir}/finder.onnx`, finderOnnx(net.config, net.tensors));
await Deno.writeFile(`${dir}/detector.onnx`, detectorOnnx(points.config, points.tensors));
const [, code] = /```py\n([^]*?)```/.exec(await Deno.readTextFile("docs/onnx.md"))!;
const script = code!.replace('"picture.jpg"', "sys.argv[1]") +
  "import json, sys\nprint(json.dumps([[float(score), points.tolist()] for score, points in kept]))\n";
await Deno.writeTextFile(`${dir}/faces.py`, "import sys\n" + script);

const device = await openDevice();
using finder = await loadFinder(device, FINDER);
using detector = await loadDetector(device, DETECTOR, { partial: true });
for (const picture of pictures) {
  const ours = await findFaces(finder, detector, await readImage(picture));
  const { code, stdout, stderr } = await new Deno.Command(python, {
    args: ["faces.py", await Deno.realPath(picture)],
    cwd: dir,
  }).output();
  if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
  const theirs: [number, [number, number][]][] = JSON.parse(new TextDecoder().decode(stdout));
  for (const { score, landmarks } of ours) {
    const { width, height } = boundingBox(landmarks);
    const crop = CROP_SCALE * Math.max(width, height) / detector.config.size_px;
    const distances = theirs.map(([, points]) =>
      points.map(([x, y], p) => Math.hypot(x - landmarks[2 * p]!, y - landmarks[2 * p + 1]!) / crop)
    );
    const nearest = distances.toSorted((a, b) => Math.max(...a) - Math.max(...b))[0] ?? [Infinity];
    const line = `${picture} score ${score!.toFixed(3)}: ${median(nearest).toFixed(4)} pixels of the crop (median), ` +
      `${Math.max(...nearest).toFixed(4)} (largest)\n`;
    await Deno.stdout.write(new TextEncoder().encode(line));
  }
}
device.destroy();

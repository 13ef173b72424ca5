/**
 * The table of a run's stages in a report.
 *
 * @module
 */
import { type Html, markup, type Part } from "../../formats/html.ts";
import type { Manifest } from "../../runtime/run/cache.ts";
import { formatField, formatSeconds } from "../../runtime/run/progress.ts";

/** Facts that a stage states about its artifact, in one line. */
export const notes = ({ summary }: Manifest): string =>
  summary.filter((row) => !("detector" in row)).map((row) =>
    Object.entries(row).map(([name, value]) => `${name.replaceAll("_", " ")} ${formatField(value, name)}`).join(", ")
  ).join("; ");

/** A table of stages: type, time, size, notes and log. */
export function timing(stages: readonly { readonly stage: string; readonly manifest: Manifest }[]): Html {
  const total = stages.reduce((sum, { manifest }) => sum + manifest.seconds, 0);
  const rows = stages.map(({ stage, manifest }) => {
    const { recipe: { uses }, seconds, output, log } = manifest;
    const share = `${(100 * seconds / Math.max(total, 1e-9)).toFixed(1)}%`;
    return markup`
      <tr>
        <td>${stage} <small>${uses}</small></td>
        <td class="number">${formatSeconds(seconds)}</td>
        <td class="plot"><svg class="bar" width="100%" height="8"><rect width="${share}" height="8" rx="2"/></svg></td>
        <td class="number">${(output.bytes / 1e6).toFixed(1)} MB</td>
        <td class="notes">${notes(manifest)}${lines(log)}</td>
      </tr>
    `;
  });
  return markup`
    <div class="wide">
      <table class="timing">
        <thead>
          <tr>
            <th>stage</th>
            <th class="number">time</th>
            <th class="plot"></th>
            <th class="number">size</th>
            <th></th>
          </tr>
        </thead>
        <tbody>${rows}</tbody>
        <tfoot>
          <tr>
            <td>together</td>
            <td class="number">${formatSeconds(total)}</td>
            <td></td>
          </tr>
        </tfoot>
      </table>
    </div>
  `;
}

/** Log of a stage, folded where it is long. */
function lines(log: readonly string[]): Part {
  if (log.length > 3) {
    return markup`<details><summary>${log.length} lines</summary><pre>${log.join("\n")}</pre></details>`;
  }
  return log.map((line) => markup`<p>${line}</p>`);
}

/**
 * Golden checks of networks: outputs, losses and gradients.
 *
 * @module
 */
import { Executable } from "../../engine/executable.ts";
import { Graph, type Value } from "../../engine/graph.ts";
import type { Tensor } from "../../engine/tensor.ts";
import { InputError } from "../../formats/input_error.ts";
import type { TensorData } from "../../formats/safetensors.ts";
import { createParameters, type HostTensors, type ParameterSpec, Scope, type Specs } from "../../models/io/params.ts";
import type { LoadOptions } from "../../models/io/parameter_files.ts";
import { gradients } from "../../ops/autodiff.ts";
import { allTensors, type GoldenCase, type GoldenCheck, type GoldenResult } from "./case.ts";
import { compareGroups } from "./compare.ts";
import { hostParametersOf, inputsOf, readOutputs } from "./layout.ts";

/** Inputs of a network's check. */
export interface NetworkInputs {
  readonly c: GoldenCase;
  /** Every tensor of the case. */
  readonly want: Map<string, TensorData>;
  readonly graph: Graph;
  readonly specs: Specs;
  /** The parameters below a prefix. */
  scope(prefix?: string): Scope;
  /** `input/NAME`; maps are channels-last. */
  input(name: string): Value;
}

/** Outputs of a network's check. */
export interface NetworkOutputs {
  /** By the case's names of tensors. */
  readonly outputs: Record<string, Value>;
  /** Assignments of a run. */
  readonly updates?: readonly (readonly [Value, Value])[];
  /** The value that `grad/PARAMETER` are gradients of. */
  readonly loss?: Value;
  /** The value that `gradin/INPUT` are gradients of; by default that of `grad/`. */
  readonly input_loss?: Value;
  /** In front of a parameter's name in a gradient's name. */
  readonly grad_prefix?: string;
  /** Mapping between the names of `param/` and the network's. */
  readonly load?: LoadOptions;
  /** Starting values, where they are not the case's tensors. */
  readonly start?: () => Promise<HostTensors>;
  /** Norms to compare with, in addition to those of gradients. */
  readonly norms?: Readonly<Record<string, number>>;
  /** Groups of tensors that the check compares itself. */
  readonly other?: readonly string[];
  /** Computes more once the network ran, and more results. */
  readonly after?: (
    run: {
      got: Map<string, ArrayLike<number>>;
      parameters: ReadonlyMap<string, Tensor>;
      data: Record<string, Float32Array>;
    },
  ) => Promise<GoldenResult[] | void> | GoldenResult[] | void;
}

/** A check of a network: outputs, losses, and the gradients that the case has tensors or norms of. */
export function networkCheck(build: (inputs: NetworkInputs) => NetworkOutputs | Promise<NetworkOutputs>): GoldenCheck {
  return async (c, device) => {
    const want = await allTensors(c);
    const specs = new Map<string, ParameterSpec>();
    const graph = new Graph();
    const { at: input, data } = inputsOf(graph, want);
    const scope = (prefix?: string) => new Scope(graph, specs, prefix);
    const built = await build({ c, want, graph, specs, input, scope });
    const { grad_prefix = "", loss, input_loss = loss } = built;
    const outputs = { ...built.outputs };

    const differentiate = (
      group: string,
      of: Value | undefined,
      names: Iterable<string>,
      find: (name: string) => Value | undefined,
    ) => {
      const all = [...new Set(names)];
      if (!all.length) return;
      if (!of) throw new InputError(`Cannot check ${group}/${all[0]} of ${c.name}: its kind has no gradients`);
      const wrt = all.map((name) => {
        const value = find(name);
        if (!value) {
          throw new InputError(`Cannot check ${group}/${name} of ${c.name}: the network has nothing of that name`);
        }
        return value;
      });
      gradients(of, wrt).forEach((dx, k) => outputs[`${group}/${all[k]}`] = dx);
    };
    const namesIn = (group: string) =>
      [...want.keys()].filter((name) => name.startsWith(`${group}/`)).map((name) => name.slice(group.length + 1));
    const norms = c.json.grad_l2_norms ?? {};
    differentiate(
      "grad",
      loss,
      [...namesIn("grad"), ...Object.keys(norms)],
      (name) => graph.parameters.get(grad_prefix + name),
    );
    differentiate("gradin", input_loss, namesIn("gradin"), input);

    const host = await (built.start?.() ?? hostParametersOf(c, specs, want, built.load));
    const parameters = createParameters(device, specs, host);
    const exe = new Executable(device, { outputs, updates: built.updates ?? [] }, parameters);
    try {
      exe.run(data);
      const specOf = (name: string) => name.startsWith("grad/") ? specs.get(grad_prefix + name.slice(5)) : undefined;
      const got: Map<string, ArrayLike<number>> = await readOutputs(exe, outputs, specOf);
      const more = await built.after?.({ got, parameters, data }) ?? [];
      const all = { ...built.norms, ...Object.fromEntries(Object.entries(norms).map(([n, x]) => [`grad/${n}`, x])) };
      return [...compareGroups(c, want, got, { norms: all, other: built.other ?? [] }), ...more];
    } finally {
      exe.destroy();
      for (const tensor of parameters.values()) tensor.destroy();
    }
  };
}

/** What the modules of this folder need on the machine: whoever loads them can have it there before a test's time runs. */

export type Provide = () => Promise<string>;

const all = new Map<string, Provide>();

/** `provide` finds the program, or makes it and keeps it, and gives its path. */
export function provided<P extends Provide>(name: string, provide: P): P {
  all.set(name, provide);
  return provide;
}

/** All that the modules need which are loaded by now. */
export function allProvided(): ReadonlyMap<string, Provide> {
  return all;
}

/** Myelin's own version and the Node that it needs, from its package. */
import { ownText } from './lib/own-package.ts';

type Package = { readonly version: string; readonly engines: { readonly node: string } };

export function ownVersion(): string {
  return ownPackage().version;
}

/** Why this version of Node cannot run Myelin; null where it can. */
export function nodeProblem(version: string): string | null {
  const needed = /\d+/.exec(ownPackage().engines.node)?.[0];
  if (Number.parseInt(version, 10) >= Number(needed)) return null;
  return `myelin needs Node ${needed} or newer, and this is Node ${version}`;
}

function ownPackage(): Package {
  return JSON.parse(ownText('package.json')) as Package;
}

/** HAProxy's version, as far as behaviour depends on it: the branch. */
export type Version = { readonly major: number; readonly minor: number; readonly text: string };

/** Reads `HAProxy version 2.6.12-1+deb12u4 …`, `HA-Proxy version 2.2.9 …` or a bare `2.6.12`; null if there is none. */
export function parseVersion(text: string): Version | null {
  const match = /(?:version )?(\d+)\.(\d+)[^\s,]*/i.exec(text);
  if (match === null) return null;
  return { major: Number(match[1]), minor: Number(match[2]), text: match[0].replace(/^version /i, '') };
}

export function atLeast(version: Version, major: number, minor: number): boolean {
  return version.major > major || (version.major === major && version.minor >= minor);
}

/** Whether the version is an earlier release of the same branch, as far as its text says. */
export function isBefore({ major, minor, text }: Version, release: readonly [number, number, number]): boolean {
  const patch = Number(/^\d+\.\d+\.(\d+)/.exec(text)?.[1] ?? 0);
  return major === release[0] && minor === release[1] && patch < release[2];
}

/** Configs of one branch mean the same to all its releases. */
export function sameBranch(a: Version, b: Version): boolean {
  return a.major === b.major && a.minor === b.minor;
}

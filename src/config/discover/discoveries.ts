/** Resolves `discover` to the questions that each watcher is asked: one for each namespace, as each fails by itself. */

import { didYouMean, type Path } from '../problems.ts';
import type { Discovery, KubernetesWatcherConfig } from '../schema.ts';
import type { Judge } from '../validate/judge.ts';
import type { Parts } from '../validate/parts.ts';

export function resolveDiscoveries({ discover, watchers }: Parts, judge: Judge): Discovery[] {
  return [...discover].flatMap(([name, limits]) => {
    const path: Path = ['discover', name];
    if (!watchers.has(name)) {
      const names = [...watchers.keys()];
      judge.report(
        path,
        `there is no watcher of this name; the watchers are ${names.join(', ')}${didYouMean(name, names)}`,
      );
    }
    const watcher = watchers.get(name);
    if (watcher === undefined) return [];
    if (watcher.type !== 'kubernetes') {
      judge.report(path, `a watcher of type ${watcher.type} discovers nothing; expected one of type kubernetes`);
      return [];
    }
    if (limits === undefined) return [];
    return namespacesOf(watcher).map((namespace) => ({
      watcher: name,
      // No service has such a name.
      key: `*${namespace ?? ''}`,
      query: { labels: limits.labels, namespace },
      limits,
    }));
  });
}

/** Undefined: the one that the watcher finds in its kubeconfig or pod, or all. */
function namespacesOf({ namespace, namespaces = [] }: KubernetesWatcherConfig): readonly (string | undefined)[] {
  if (namespaces.includes('all')) return [undefined];
  const named = [...new Set([...(namespace === undefined ? [] : [namespace]), ...namespaces])];
  return named.length === 0 ? [undefined] : named;
}

/** Resolves `discover` to the queries for many services that each watcher gets. */

import type { Source } from '../../../watchers/kit/source.ts';
import { AppError } from '../../errors.ts';
import { didYouMean } from '../../lib/did-you-mean.ts';
import type { Path } from '../problems.ts';
import { builtIn } from '../schema/watchers.ts';
import type { Discovery } from '../schema.ts';
import type { Judge } from '../validate/judge.ts';
import type { Parts } from '../validate/parts.ts';

export function resolveDiscoveries({ discover, watchers, sources }: Parts, judge: Judge): Discovery[] {
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
    const discovery = sources.get(name)?.discovery;
    if (discovery === undefined) {
      const others = [...builtIn].flatMap(([type, source]) => (source.discovery === undefined ? [] : [type]));
      judge.report(
        path,
        `a watcher of type ${watcher.type} discovers nothing; expected one of type ${others.join(', ')}`,
      );
      return [];
    }
    if (limits === undefined) return [];
    const { withoutEffect = [] } = discovery;
    for (const [at, option] of (limits.options ?? []).entries())
      if (withoutEffect.includes(option))
        judge.report(
          [...path, 'options', at],
          `${option} has no effect on services of a watcher of type ${watcher.type}`,
        );
    // No name of a service begins like these keys.
    return queriesOf(() => discovery.queries(watcher, limits), path, judge).map(({ key, query }) => ({
      watcher: name,
      key: `*${key}`,
      query,
      limits,
      withoutEffect,
    }));
  });
}

type ManyQueries = ReturnType<NonNullable<Source['discovery']>['queries']>;

/** The module of a user may throw here. */
function queriesOf(make: () => ManyQueries, path: Path, judge: Judge): ManyQueries {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    judge.report(path, error.message);
    return [];
  }
}

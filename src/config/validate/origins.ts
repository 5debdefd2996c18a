/** Resolves a service's `from` to the watchers that it names and the query for each of them. */

import { didYouMean } from '../../lib/did-you-mean.ts';
import type { Path } from '../problems.ts';
import type { ParsedService } from '../schema/service.ts';
import type { Origin } from '../schema.ts';
import type { Judge } from './judge.ts';
import type { Parts } from './parts.ts';

/** `from` is as the schema parsed it: one object or more, each with watchers' names and their queries. */
export function resolveOrigins(
  service: string,
  from: ParsedService['from'],
  { watchers, sources }: Pick<Parts, 'watchers' | 'sources'>,
  judge: Judge,
): Origin[] {
  const list: Path = ['services', service, 'from'];
  const names = [...watchers.keys()];
  const known = names.length === 0 ? 'there is no watcher' : `the watchers are ${names.join(', ')}`;
  if (from === undefined && names.length !== 1 && !judge.isRefused(list))
    judge.report(list, `is missing; ${known}${names.length === 0 ? '' : ': name one of them'}`);
  if (from?.length === 0) judge.report(list, `is an empty list; ${known}`);

  const origins: Origin[] = [];
  const items = from ?? names.slice(0, names.length === 1 ? 1 : 0).map((name) => ({ [name]: {} }));
  for (const [index, item] of items.entries()) {
    const path = judge.pathOfItem(list, index);
    if (Object.keys(item).length === 0) judge.report(path, `names no watcher; ${known}`);
    for (const [name, query] of Object.entries(item)) {
      if (!watchers.has(name))
        judge.report([...path, name], `there is no watcher of this name; ${known}${didYouMean(name, names)}`);
      const schema = watchers.get(name) && sources.get(name)?.query;
      const settings = schema && judge.part(schema, [...path, name], query ?? {});
      if (schema === undefined || settings === undefined) continue;
      const count = origins.filter((origin) => origin.watcher === name).length;
      const key = count === 0 ? service : `${service}#${count + 1}`;
      const isNamed = Object.hasOwn(schema.shape, 'service') && settings.service === undefined;
      origins.push({ watcher: name, key, query: isNamed ? { ...settings, service } : settings });
    }
  }
  return origins;
}

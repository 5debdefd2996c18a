/**
 * What a service that nobody listed says of itself: which of its instances counts, and what that one chooses by its meta and
 * tags. Pure.
 */
import { isDeepStrictEqual } from 'node:util';
import type { DiscoveredService, Unreadable } from '../../../src/model.ts';
import { boundedOptions } from '../../kit/service-options.ts';
import { keyOfDiscovered } from '../names.ts';
import type { Instance } from '../service/endpoints.ts';
import type { ConsulDiscovery } from '../settings.ts';
import { isFabioTag, readFabioTags } from './fabio.ts';

/** What counts of the instance that was registered first. */
export type OldestInstance = {
  /** The service's name as this instance spells it. */
  readonly name: string;
  /** The index at which it was registered. It stays when the same id is registered again, unless that was gone meanwhile. */
  readonly createIndex: number;
  readonly tags: readonly string[];
  readonly meta: Readonly<Record<string, string>>;
};

/** Two that were registered in one transaction are told apart by their names. */
export function oldestOf(instances: readonly Instance[]): OldestInstance | null {
  const [first, ...others] = instances;
  if (first === undefined) return null;
  const { Service } = others.reduce((oldest, one) => (isOlder(one, oldest) ? one : oldest), first);
  const { Service: name, CreateIndex: createIndex, Tags: tags, Meta: meta } = Service;
  return { name, createIndex, tags: tags ?? [], meta: meta ?? {} };
}

function isOlder(one: Instance, other: Instance): boolean {
  if (one.Service.CreateIndex !== other.Service.CreateIndex) return one.Service.CreateIndex < other.Service.CreateIndex;
  return nameOf(one) < nameOf(other);
}

function nameOf({ Node, Service }: Instance): string {
  return JSON.stringify([Node.Node, Service.ID]);
}

/** `before` itself where nothing has changed. */
export function discoveredAs(
  oldest: OldestInstance,
  selection: ConsulDiscovery,
  before: DiscoveredService | undefined,
): DiscoveredService {
  const now: DiscoveredService = {
    key: keyOfDiscovered(oldest.name),
    name: oldest.name,
    // Other namespaces than this one are not asked.
    owner: 'default',
    createdAt: oldest.createIndex,
    options: optionsOf(oldest, selection),
  };
  return isDeepStrictEqual(before, now) ? (before ?? now) : now;
}

/** A key of meta that begins so is an option… */
const metaPrefix = 'myelin-';
/** …and so is a tag: `myelin.OPTION=VALUE`. */
const tagPrefix = 'myelin.';

/**
 * What says that the service is served is no option, whatever it is called. Routes may stand in several places; anything else
 * that is said twice, and not the same, is refused: no option has a line break.
 */
function optionsOf(
  { tags, meta }: Pick<OldestInstance, 'tags' | 'meta'>,
  selection: ConsulDiscovery,
): Readonly<Record<string, string>> {
  const said = new Map<string, Set<string>>();
  const add = (option: string, value: string): void => {
    said.set(option, (said.get(option) ?? new Set()).add(value));
  };
  for (const [key, value] of Object.entries(meta))
    if (key.startsWith(metaPrefix) && !Object.hasOwn(selection.meta, key)) add(key.slice(metaPrefix.length), value);
  for (const tag of tags) {
    if (!tag.startsWith(tagPrefix) || tag === selection.tag) continue;
    const [option = '', ...value] = tag.slice(tagPrefix.length).split('=');
    add(option, value.join('='));
  }
  if (selection.routes === 'fabio') for (const { option, value } of readFabioTags(tags).options) add(option, value);
  return boundedOptions(
    new Map([...said].map(([option, values]) => [option, [...values].join(option === 'routes' ? ',' : '\n')])),
  );
}

/** What tells the instances that are meant from others, where no filter of Consul can: null, where one does. */
export function meantBy({ tag, meta, routes }: ConsulDiscovery): ((tags: readonly string[]) => boolean) | null {
  const isByFilter = tag !== undefined || Object.keys(meta).length > 0;
  return isByFilter || routes === undefined ? null : (tags) => tags.some(isFabioTag);
}

/** What of its tags means nothing here. */
export function leftOutOf({ tags }: OldestInstance, { routes }: ConsulDiscovery): readonly Unreadable[] {
  return routes === 'fabio' ? readFabioTags(tags).leftOut : [];
}

/** Frontends of services that go while HAProxy runs, and those that somebody has disabled. */
import type { Rendered, Section } from '../../../model.ts';
import { type BindAddress, bindsOverlap, parseBind } from '../../text/bind.ts';
import { isFile } from '../../text/layout/files.ts';
import { namesBackend } from '../../text/named-backends.ts';
import { significantLines } from '../../text/significant-lines.ts';
import type { Change, Obstacle, Planner, Rest, RuntimeState } from '../resource.ts';
import { ownerOf, partsOf } from './parts.ts';
import { isDisabled, withoutMark } from './read-back.ts';

export function planFrontends(running: Rendered, desired: Rendered, { capabilities }: RuntimeState): Planner {
  const why = (old: Section): Obstacle | null => {
    if (!capabilities.frontends)
      return { code: 'capability_missing', detail: `shutdown frontend, on HAProxy ${capabilities.version.text}` };
    const stays = (detail: string): Obstacle => ({ code: 'proxy_removed', detail });
    // HAProxy does not stop listening at any other address before it ends.
    if (!addressesOf(old).every(({ kind }) => kind === 'tcp')) return stays('it listens at more than TCP addresses');
    if (isNamed(old.name, desired.sections)) return stays('it is named elsewhere');
    // HAProxy would not start from the file.
    if (!desired.sections.some(mayListen)) return stays('nothing else listens');
    return null;
  };
  return {
    section(old, now) {
      if (old?.kind !== 'frontend') return null;
      const { name: frontend } = old;
      if (now === null) {
        if (old.service === null || !partsOf(running).has(ownerOf(frontend))) return null;
        const obstacle = why(old);
        return {
          commands: obstacle === null ? [{ kind: 'frontend', action: 'remove', frontend }] : [],
          obstacles: obstacle === null ? [] : [obstacle],
          after: () => old,
        };
      }
      if (!isDisabled(old)) return null;
      return sameLines(withoutMark(old), now) ? enabled(frontend, now) : 'structure';
    },
  };
}

/** While a reload waits, a disabled frontend is enabled as it is. */
export function enabledBeforeReload(old: Section): Section {
  return old.kind === 'frontend' ? withoutMark(old) : old;
}

/** Whether another section will listen where this one does: until the reload, nobody else would answer there. */
export function isSucceeded(old: Section, { desired }: Rest): boolean {
  if (old.kind !== 'frontend') return false;
  const its = addressesOf(old);
  return desired.sections
    .filter(mayListen)
    .some((section) =>
      addressesOf(section).some((other) => other.kind === 'other' || its.some((address) => sharePort(address, other))),
    );
}

function enabled(frontend: string, now: Section): Change {
  return { commands: [{ kind: 'frontend', action: 'enable', frontend }], obstacles: [], after: () => now };
}

function sameLines(a: Section, b: Section): boolean {
  const [one, other] = [a, b].map((section) => significantLines(section).map(({ text }) => text));
  return one?.join('\n') === other?.join('\n');
}

function isNamed(frontend: string, sections: readonly Section[]): boolean {
  return sections.some((section) => !isFile(section) && section.name !== frontend && namesBackend(section, frontend));
}

function mayListen({ kind }: Section): boolean {
  return kind === 'frontend' || kind === 'listen';
}

const addresses = new WeakMap<Section, readonly BindAddress[]>();

function addressesOf(section: Section): readonly BindAddress[] {
  let found = addresses.get(section);
  if (found === undefined) {
    const binds = significantLines(section).filter(({ line }) => line.words[0] === 'bind');
    found = binds.flatMap(({ line }) => parseBind(line.words.slice(1).join(' ')).addresses);
    addresses.set(section, found);
  }
  return found;
}

/** Whatever their hosts: a name may stand for any address. */
function sharePort(a: BindAddress, b: BindAddress): boolean {
  return bindsOverlap(anywhere(a), anywhere(b));
}

function anywhere(address: BindAddress): BindAddress {
  return 'host' in address ? { ...address, host: null, family: 'any', interface: null } : address;
}

/** The commands that bring certificates, and the lists of them, to what is desired. */
import type { CrtListCommand, Rendered, Section } from '../../../model.ts';
import type { Change, Obstacle, Planner, RuntimeState } from '../resource.ts';
import { canBeNamed } from './commands.ts';
import { type Entry, entriesOf, isCertificate, isCrtList, textOf } from './entries.ts';
import { waits, whyNotCarried } from './obstacles.ts';

export function planCertificates(
  running: Rendered,
  desired: Rendered,
  { capabilities: { maxPayloadBytes, version } }: RuntimeState,
): Planner {
  const lists = {
    running: cached(() => running.sections.filter(isCrtList)),
    desired: cached(() => desired.sections.filter(isCrtList)),
  };

  const whyNotTaken = (file: Section): Obstacle | null => {
    if (maxPayloadBytes === 0)
      return { code: 'capability_missing', detail: `set ssl cert, on HAProxy ${version.text}` };
    return whyNotCarried(file, maxPayloadBytes);
  };

  return {
    section(old, now) {
      if (now !== null && isCertificate(now)) {
        // Where no list of the process names it, it comes with the line that does.
        if (
          old === null &&
          !lists
            .desired()
            .some((list) => isIn(list, now.name) && lists.running().some(({ name }) => name === list.name))
        )
          return null;
        const obstacle = whyNotTaken(now);
        if (obstacle !== null) return { commands: [], obstacles: [obstacle], after: () => old ?? now };
        const command = {
          kind: 'certificate',
          action: old === null ? 'add' : 'set',
          certificate: now.name,
          pem: now.text,
        } as const;
        return { commands: [command], obstacles: [], after: () => now };
      }
      if (now !== null || old === null || !isCertificate(old)) return null;
      const obstacle = whyNotRemoved(old, lists.running(), lists.desired());
      return {
        commands: obstacle === null ? [{ kind: 'certificate', action: 'delete', certificate: old.name }] : [],
        obstacles: obstacle === null ? [] : [obstacle],
        after: () => old,
      };
    },
  };
}

function whyNotRemoved({ name }: Section, running: readonly Section[], desired: readonly Section[]): Obstacle | null {
  if (!canBeNamed(name)) return waits('it cannot be said in a runtime command');
  if (desired.some((list) => isIn(list, name))) return waits('a list names it');
  const isDefault = running.some((list) => firstOf(list) === name && desired.some((other) => other.name === list.name));
  return isDefault ? waits('it is the default') : null;
}

export function planCrtLists(_running: Rendered, desired: Rendered): Planner {
  const certificates = cached(() => new Set(desired.sections.filter(isCertificate).map(({ name }) => name)));
  return {
    section(old, now) {
      // A list that comes or goes needs a reload, like the line that names it.
      if (old === null || now === null || !isCrtList(now)) return null;
      const [before, after] = [entriesOf(old), entriesOf(now)];
      if (before === null || after === null || after.some(({ line }) => line !== undefined)) return null;
      return change(now, { before, after, isThere: (certificate) => certificates().has(certificate) });
    },
  };
}

type Lists = {
  readonly before: readonly Entry[];
  readonly after: readonly Entry[];
  readonly isThere: (certificate: string) => boolean;
};

function change(now: Section, { before, after, isThere }: Lists): Change {
  const about = { kind: 'crt-list', list: now.name } as const;
  const commands: CrtListCommand[] = [];
  const obstacles: Obstacle[] = [];
  const [was, is] = [before[0]?.certificate, after[0]?.certificate];
  const [had, wanted] = [
    new Set(before.map(({ certificate }) => certificate)),
    new Set(after.map(({ certificate }) => certificate)),
  ];
  // HAProxy takes the first for names that fit none: it can be neither replaced nor removed.
  if (was !== is) obstacles.push(waits(`the default becomes ${is}`));
  const running: Entry[] = [];
  const seen = new Set<string>();
  for (const entry of before) {
    const { certificate } = entry;
    const isKept = certificate === was || wanted.has(certificate);
    if (isKept && !seen.has(certificate)) running.push({ certificate });
    else commands.push({ ...about, action: 'delete', ...entry });
    seen.add(certificate);
  }
  for (const { certificate } of after) {
    if (had.has(certificate)) continue;
    if (isThere(certificate)) {
      commands.push({ ...about, action: 'add', certificate });
      running.push({ certificate });
    } else obstacles.push(waits(`${certificate} is not there yet`));
  }
  return { commands, obstacles, after: () => (obstacles.length === 0 ? now : { ...now, text: textOf(running) }) };
}

function isIn(list: Section, certificate: string): boolean {
  return (
    list.text.includes(certificate) && (entriesOf(list)?.some((entry) => entry.certificate === certificate) ?? true)
  );
}

function firstOf(list: Section): string | undefined {
  return entriesOf(list)?.[0]?.certificate;
}

function cached<T>(make: () => T): () => T {
  let made: { readonly it: T } | null = null;
  return () => {
    made ??= { it: make() };
    return made.it;
  };
}

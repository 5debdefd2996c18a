/**
 * The frame of `haproxy.cfg`: everything but the sections of the services, with slots for them. It is rendered once for a
 * config, version and host, and not at every change of an endpoint.
 */
import type { Config, Service } from '../config/schema.ts';
import { AppError } from '../errors.ts';
import type { Version } from '../haproxy/binary/version.ts';
import { splitSections } from '../haproxy/text/text.ts';
import { differenceOf } from '../lib/difference.ts';
import { SortedMap } from '../lib/sorted-map.ts';
import type { Section } from '../model.ts';
import { type Inherited, inheritedFrom } from './administrator.ts';
import type { FileContext, HaproxyContext } from './context.ts';
import type { Engine } from './templates/engine.ts';
import type { TemplateSource } from './templates/template-error.ts';
import { haproxyContext, ownValues, sharedFrontendContexts } from './view.ts';

export type Frame = {
  readonly config: Config;
  readonly version: Version;
  readonly hostname: string;
  readonly haproxy: HaproxyContext;
  readonly inherited: Inherited;
  /** The `defaults` sections before the backend of a service; where the services stand in a row, they are the same for all. */
  readonly defaults: (service: string) => readonly Section[];
  /** Where the services stand in a row, this is made of it. */
  readonly slots: () => readonly (Slot | readonly Section[])[];
  /** Where the services stand one behind the other, each by itself; null: the template may do anything with them. */
  readonly row: Row | null;
};

export type Row = {
  readonly head: readonly (readonly Section[])[];
  readonly of: SortedMap<readonly Slot[]>;
  readonly tail: readonly (readonly Section[])[];
  /** Of each service the loop prints its frontend, where it has one, and its backend, and nothing else. */
  readonly isPlain: boolean;
};

type Templates = ReadonlyMap<string, TemplateSource>;

export type Slot = { readonly service: string; readonly part: 'frontend' | 'backend' };

type Input = Pick<Frame, 'config' | 'version' | 'hostname'>;

export function isOf(frame: Frame, { config, version, hostname }: Input): boolean {
  return frame.config === config && frame.version.text === version.text && frame.hostname === hostname;
}

/** Whether only the list of services differs, as after a discovery: then nothing changes for the other services. */
export function differInServicesAlone(frame: Frame, input: Input): boolean {
  const { services: _, ...before } = frame.config;
  const { services: __, ...now } = input.config;
  const isSame = (key: string): boolean => before[key as keyof typeof before] === now[key as keyof typeof now];
  return isOf({ ...frame, config: input.config }, input) && Object.keys({ ...before, ...now }).every(isSame);
}

/**
 * The frame of a config that differs in its services alone: the joining template prints only those that come, which are put in
 * their places. null: it does more with the services than to print one behind the other.
 */
export function followFrame(engine: Engine, templates: Templates, frame: Frame, config: Config): Frame | null {
  const { row } = frame;
  const difference = row === null ? null : differenceOf(frame.config.services, config.services);
  if (row === null || difference === null || config.services.size === 0) return null;
  const { come, gone } = difference;
  const edits = new Map<string, readonly Slot[] | undefined>(gone.map(([name]) => [name, undefined]));
  if (row.isPlain) for (const [name, service] of come) edits.set(name, plainSlots(service));
  else if (come.length > 0) {
    const part = renderFrame(engine, templates, { ...frame, config: { ...config, services: new Map(come) } });
    if (part.row === null || !isSameText(part.row.head, row.head) || !isSameText(part.row.tail, row.tail)) return null;
    for (const [name, slots] of part.row.of) edits.set(name, slots);
  }
  const followed: Row = { ...row, of: row.of.with(edits) };
  return { ...frame, config, slots: () => slotsIn(followed, config), row: followed };
}

function slotsIn({ head, of, tail }: Row, { services }: Config): readonly (Slot | readonly Section[])[] {
  return [...head, ...[...services.keys()].flatMap((name) => of.get(name) ?? []), ...tail];
}

function isSameText(a: Row['head'], b: Row['head']): boolean {
  const textOf = (all: Row['head']): string => all.flatMap((sections) => sections.map(({ text }) => text)).join('');
  return textOf(a) === textOf(b);
}

/**
 * The joining template prints a marker for each part of a service, so that it runs once for a config and not at every
 * change of an endpoint. Markers contain NUL, which neither templates nor the config can contain.
 */
export function renderFrame(engine: Engine, templates: Templates, input: Input): Frame {
  const { config, version, hostname } = input;
  const haproxy = haproxyContext(config, version);
  const inherited = inheritedFrom(config.haproxy.defaults);
  const services = [...config.services.values()];
  const printed = services.map(({ name, mode, bind = [], values }, at) => ({
    name,
    mode,
    bind,
    values: ownValues(values),
    frontend: bind.length === 0 ? null : `\0frontend ${at}\0`,
    backend: `\0backend ${at}\0`,
  }));
  let reads = 0;
  const context: FileContext = {
    haproxy,
    frontends: sharedFrontendContexts(config, haproxy, inherited),
    get services() {
      reads++;
      return printed;
    },
  };
  const text = withEnd(engine('haproxy.cfg', context));
  const slots: (Slot | readonly Section[])[] = [];
  const defaults = new Map<string, readonly Section[]>();
  let before: readonly Section[] = [];
  let end = 0;
  for (const match of text.matchAll(/\0(frontend|backend) (\d+)\0(\n)?/g)) {
    const [marker, part, at, feed] = match;
    const service = services[Number(at)]?.name ?? '';
    const between = splitSections(text.slice(end, match.index));
    if (feed === undefined || (match.index > 0 && text[match.index - 1] !== '\n'))
      throw fileError(templates, `the ${part} of service ${service} must be printed on a line of its own`);
    if (between.length > 0) slots.push(between);
    slots.push({ service, part: part === 'frontend' ? 'frontend' : 'backend' });
    const nearer = between.filter(({ kind }) => kind === 'defaults');
    if (nearer.length > 0) before = [...before, ...nearer];
    defaults.set(service, before);
    end = match.index + marker.length;
  }
  slots.push(splitSections(text.slice(end)));
  const titles = new Set(
    slots.flatMap((slot) => ('part' in slot ? [] : slot.map(({ kind, name }) => `${kind} ${name}`))),
  );
  for (const { name } of context.frontends)
    if (!titles.has(`frontend ${name}`))
      throw fileError(
        templates,
        `the shared frontend ${name} is not printed: {{#each frontends}}{{> shared-frontend}}{{/each}} does, each tag on a line of its own`,
      );
  const row = reads === 1 && printsEachByItself(templates) ? rowOf(slots, printsPartsAlone(templates)) : null;
  const [nearest = []] = defaults.values();
  const defaultsOf = row === null ? (service: string) => defaults.get(service) ?? [] : () => nearest;
  return { config, version, hostname, haproxy, inherited, defaults: defaultsOf, slots: () => slots, row };
}

/** Whether the services stand in one loop, in which none knows its place among them. */
function printsEachByItself(templates: Templates): boolean {
  const joining = joiningOf(templates);
  const knowsPlace = /@(?:index|key|first|last)\b|\bas \|/;
  if ([...templates.values()].some(({ text }) => knowsPlace.test(text))) return false;
  return (joining.match(/\bservices\b/g) ?? []).length === 1 && /\{\{~?#each services~?\}\}/.test(joining);
}

/** Whether the loop is the one of the built-in template, around which others may stand. */
function printsPartsAlone(templates: Templates): boolean {
  const plain =
    /\{\{#each services\}\}\s*\{\{#if frontend\}\}\s*\{\{frontend\}\}\s*\{\{\/if\}\}\s*\{\{backend\}\}\s*\{\{\/each\}\}/;
  return plain.test(joiningOf(templates));
}

/** What such a loop prints of a service: to render the whole file for it would be most of what a new service costs here. */
function plainSlots({ name: service, bind = [] }: Service): readonly Slot[] {
  const backend: Slot = { service, part: 'backend' };
  return bind.length === 0 ? [backend] : [{ service, part: 'frontend' }, backend];
}

/** The template that joins the others, without its comments. */
function joiningOf(templates: Templates): string {
  return (templates.get('haproxy.cfg')?.text ?? '').replaceAll(/\{\{~?!(?:--.*?--|.*?)~?\}\}/gs, '');
}

/** null: something stands between the services. */
function rowOf(slots: ReturnType<Frame['slots']>, isPlain: boolean): Row | null {
  const isSlot = (slot: Slot | readonly Section[]): slot is Slot => 'part' in slot;
  const first = slots.findIndex(isSlot);
  const end = slots.findLastIndex(isSlot) + 1;
  const between = slots.slice(Math.max(first, 0), end);
  const all = between.filter(isSlot);
  if (first === -1 || all.length < between.length) return null;
  const isText = (slot: Slot | readonly Section[]): slot is readonly Section[] => !isSlot(slot);
  return {
    head: slots.slice(0, first).filter(isText),
    of: SortedMap.of(Map.groupBy(all, ({ service }) => service)),
    tail: slots.slice(end).filter(isText),
    isPlain,
  };
}

export function withEnd(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}

function fileError(templates: Templates, message: string): AppError {
  return new AppError('MYELIN_TEMPLATE_INVALID', `${templates.get('haproxy.cfg')?.file ?? 'haproxy.cfg'}: ${message}`);
}

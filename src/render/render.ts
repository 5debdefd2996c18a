/** Renders config and endpoints to the sections of `haproxy.cfg`. An unchanged service is not rendered again. */
import { serverCaFile } from '../config/ca-files.ts';
import { queryKeyOf } from '../config/query-key.ts';
import type { Config, Service } from '../config/schema.ts';
import { AppError } from '../errors.ts';
import { atLeast, type Version } from '../haproxy/binary/version.ts';
import { emptyBackend } from '../haproxy/text/attribution.ts';
import { splitSections, tokenise } from '../haproxy/text/text.ts';
import { differenceOf } from '../lib/difference.ts';
import { type Chunk, SortedMap } from '../lib/sorted-map.ts';
import type { Endpoint, Problem, Rendered, Section } from '../model.ts';
import { CertificateFiles, type ServedCertificate } from './certificates.ts';
import type { ServiceContext } from './context.ts';
import {
  differInServicesAlone,
  type Frame,
  followFrame,
  isOf,
  type Row,
  renderFrame,
  type Slot,
  withEnd,
} from './frame.ts';
import { Maps } from './maps.ts';
import { settleServers } from './settle.ts';
import { createEngine, type Engine } from './templates/engine.ts';
import type { TemplateSource } from './templates/template-error.ts';
import { serviceContext } from './view.ts';

export type RenderInput = {
  readonly config: Config;
  /** By service; a service without an entry is left out. */
  readonly endpoints: ReadonlyMap<string, readonly Endpoint[]>;
  /** The sections of services that are not rendered again: they stay unchanged. */
  readonly kept?: ReadonlyMap<string, readonly Section[]>;
  /** The version of the HAProxy that reads the file. */
  readonly version: Version;
  /** The certificates of shared frontends that have a folder of them, the one for unknown names first. */
  readonly certificates?: ReadonlyMap<string, readonly ServedCertificate[]>;
  /** CA certificates by the path at which HAProxy reads them. */
  readonly caFiles?: ReadonlyMap<string, string>;
  /** For `order: host`. */
  readonly hostname: string;
};

/**
 * A service whose templates failed on its data. Where its backend alone can be rendered, its servers still change;
 * else an empty backend takes its place, so that the other services go live.
 */
type RenderProblem = Problem & { readonly hasBackend: boolean };

export type RenderResult = Rendered & { readonly problems: readonly RenderProblem[] };

export type Renderer = {
  /** Throws an AppError where a template fails outside a single service. */
  render(input: RenderInput): RenderResult;
};

/** `templates`: by name; `haproxy.cfg` joins the others. Throws an AppError where one is invalid. */
export function createRenderer(templates: ReadonlyMap<string, TemplateSource>): Renderer {
  const engine = createEngine(templates);
  let frame: Frame | null = null;
  let copied = '';
  let parts: SortedMap<Parts> = SortedMap.of([]);
  /** What the parts were made of; null: they have to be looked at again. */
  let madeOf: Pick<RenderInput, 'config' | 'endpoints'> | null = null;
  /** The services whose templates failed. */
  const failed = new Set<string>();
  const maps = new Maps();
  const certificates = new CertificateFiles();
  return {
    render(input) {
      const { config, version, hostname } = input;
      if (frame === null || !isOf(frame, input)) {
        const isForOtherServices = frame !== null && differInServicesAlone(frame, input);
        const followed = frame !== null && isForOtherServices ? followFrame(engine, templates, frame, config) : null;
        frame = followed ?? renderFrame(engine, templates, { config, version, hostname });
        if (followed === null) madeOf = null;
        // Everything is rendered again; sections with the same text stay the same objects.
        if (!isForOtherServices) parts = withoutService(parts);
      }
      const caFiles = input.caFiles ?? noFiles;
      const copies = [...caFiles.keys()].join('\n');
      if (copies !== copied) {
        madeOf = null;
        parts = withoutService(parts);
      }
      copied = copies;
      const kept = input.kept ?? none;
      const its = frame;
      const edits = new Map<string, Parts | undefined>();
      const all = (): ReadonlySet<string> => new Set([...parts.keys(), ...config.services.keys()]);
      for (const name of namesThatDiffer(kept.size === 0 ? madeOf : null, input) ?? all()) {
        if (kept.has(name)) continue;
        const service = config.services.get(name);
        const endpoints = service === undefined ? undefined : input.endpoints.get(name);
        const old = parts.get(name);
        failed.delete(name);
        if (service === undefined || endpoints === undefined) edits.set(name, undefined);
        else {
          const isSame = old?.service === service && old.endpoints === endpoints;
          const part = isSame ? old : renderService(engine, service, endpoints, its, caFiles, old);
          const slots = its.row?.of.get(name) ?? [];
          const isPlaced =
            isSame && old.slots.length === slots.length && old.slots.every((slot, at) => slot === slots[at]?.part);
          edits.set(name, isPlaced ? part : { ...part, slots: slots.map(({ part: each }) => each) });
          if (part.problem !== null) failed.add(name);
        }
      }
      parts = parts.with(edits);
      madeOf = kept.size === 0 ? input : null;
      const problems =
        failed.size === 0
          ? []
          : [...config.services.keys()].flatMap((name) =>
              failed.has(name) && !kept.has(name) ? (parts.get(name)?.problem ?? []) : [],
            );
      const isRow = its.row !== null && kept.size === 0 && config.services instanceof SortedMap;
      const sections = isRow && its.row !== null ? inRow(its.row, parts) : assemble(its.slots(), parts, kept);
      const routed =
        isRow && its.row !== null
          ? maps.follow(config, { parts, around: [...its.row.head, ...its.row.tail].flat() }, sections)
          : maps.render(config, sections);
      for (const map of routed) sections.push(map);
      for (const file of certificates.render(config, input.certificates ?? new Map(), caFiles)) sections.push(file);
      return { sections, problems };
    },
  };
}

const noFiles: ReadonlyMap<string, string> = new Map();
const none: ReadonlyMap<string, readonly Section[]> = new Map();

function withoutService(parts: SortedMap<Parts>): SortedMap<Parts> {
  return SortedMap.of([...parts].map(([name, old]) => [name, { ...old, service: null }]));
}

/** null: all may differ. */
function namesThatDiffer(
  before: Pick<RenderInput, 'config' | 'endpoints'> | null,
  now: RenderInput,
): Iterable<string> | null {
  if (before === null) return null;
  const services = differenceOf(before.config.services, now.config.services);
  const endpoints = differenceOf(before.endpoints, now.endpoints);
  if (services === null || endpoints === null) return null;
  return new Set([services, endpoints].flatMap(({ come, gone }) => [...gone, ...come].map(([name]) => name)));
}

/** The sections of the services stand one behind the other: those of the same parts are the same. */
function inRow({ head, tail }: Row, parts: SortedMap<Parts>): Section[] {
  const sections = head.flat();
  for (const chunk of parts.chunks) {
    let its = sectionsOfChunk.get(chunk);
    if (its === undefined) {
      its = chunk.values.flatMap((part) => part.slots.flatMap((slot) => part[slot]));
      sectionsOfChunk.set(chunk, its);
    }
    for (const section of its) sections.push(section);
  }
  for (const text of tail) for (const section of text) sections.push(section);
  return sections;
}

const sectionsOfChunk = new WeakMap<Chunk<Parts>, readonly Section[]>();

type Parts = {
  /** null: the parts belong to another config and have to be rendered again. */
  readonly service: Service | null;
  readonly endpoints: readonly Endpoint[];
  readonly frontend: readonly Section[];
  readonly backend: readonly Section[];
  readonly problem: RenderProblem | null;
  /** In which order they stand in the row of services, where there is one. */
  readonly slots: readonly Slot['part'][];
};

function renderService(
  engine: Engine,
  service: Service,
  endpoints: readonly Endpoint[],
  { haproxy, inherited, config, version, hostname, defaults }: Frame,
  caFiles: ReadonlyMap<string, string>,
  old: Parts | undefined,
): Parts {
  let backend: readonly Section[] | null = null;
  try {
    const queryKey = queryKeyOf(service);
    // HAProxy itself has the last word on a file that never was sound.
    const caFile = (source: string): string => {
      const copy = serverCaFile(config, source);
      return caFiles.has(copy) ? copy : source;
    };
    const order = config.order === 'host' ? hostname : null;
    const context = serviceContext(service, endpoints, { haproxy, inherited, hostname: order, caFile });
    const draining = new Set(context.servers.flatMap(({ name, isDraining }) => (isDraining ? [name] : [])));
    const settle = (text: string): string => settleServers(text, { draining, defaults: defaults(service.name) });
    // From 2.6 on HAProxy accepts rules in a named `defaults` section.
    const sharesOptions = atLeast(version, 2, 6);
    backend = renderPart(engine, 'backend', context, { queryKey, old: old?.backend, sharesOptions, settle });
    const hasFrontend = context.bind.length > 0;
    const frontend = hasFrontend ? renderPart(engine, 'frontend', context, { queryKey, old: old?.frontend }) : [];
    return { service, endpoints, frontend, backend, problem: null, slots: [] };
  } catch (error) {
    // The data of this service caused the error, so only this service fails.
    const message = error instanceof Error ? error.message : String(error);
    const code = 'MYELIN_TEMPLATE_INVALID';
    const problem: RenderProblem = { message, service: service.name, code, hasBackend: backend !== null };
    const standIn = backend ?? [emptyBackend(service.name, service.mode)];
    return { service, endpoints, frontend: [], backend: standIn, problem, slots: [] };
  }
}

type Rendering = {
  readonly queryKey: string;
  readonly old: readonly Section[] | undefined;
  /** Whether this HAProxy accepts the options that `haproxy/text/layout.ts` writes for several backends at once. */
  readonly sharesOptions?: boolean;
  readonly settle?: (text: string) => string;
};

function renderPart(
  engine: Engine,
  part: 'frontend' | 'backend',
  context: ServiceContext,
  { queryKey, old, sharesOptions = false, settle = (text) => text }: Rendering,
): readonly Section[] {
  const text = settle(withEnd(engine(part, context)));
  const isSame = old !== undefined && old.map((section) => section.text).join('') === text;
  const shares = ({ kind }: Section): boolean => sharesOptions && kind === 'backend';
  if (isSame && old.every((one) => one.queryKey === queryKey && (one.sharesOptions ?? false) === shares(one)))
    return old;
  const sections = splitSections(text, context.name).map((section): Section => {
    return { ...section, queryKey, ...(shares(section) && { sharesOptions: true }) };
  });
  const [first] = sections;
  // Lines before the first section keyword would belong to the section of another service.
  if (first?.kind === '' && first.text.split('\n').some((line) => tokenise(line).words.length > 0))
    throw new AppError('MYELIN_TEMPLATE_INVALID', `the template ${part} must begin with the line that opens a section`);
  return sections;
}

function assemble(
  slots: ReturnType<Frame['slots']>,
  parts: ReadonlyMap<string, Parts>,
  kept: ReadonlyMap<string, readonly Section[]>,
): Section[] {
  const sections: Section[] = [];
  const placed = new Set<Section>();
  for (const slot of slots) {
    if (!('part' in slot)) for (const section of slot) sections.push(section);
    else {
      const its = kept.get(slot.service);
      // Kept sections take the slots of their kind; sections without such a slot go to the slot of the backend.
      const some =
        its === undefined
          ? (parts.get(slot.service)?.[slot.part] ?? [])
          : its.filter((section) => !placed.has(section) && (slot.part === 'backend' || section.kind === 'frontend'));
      for (const section of some) {
        sections.push(section);
        if (its !== undefined) placed.add(section);
      }
    }
  }
  return sections;
}

/** Services and EndpointSlices as the API server sends them, reduced to what we use as soon as they are read. Pure. */
import { z } from 'zod';
import { boundedOptions } from '../../kit/service-options.ts';

// Go writes an empty list or map as null, or leaves it out.
const list = <T extends z.ZodType>(item: T) =>
  z
    .array(item)
    .nullish()
    .transform((items) => items ?? []);
const text = z
  .string()
  .nullish()
  .transform((value) => value ?? undefined);
const flag = z
  .boolean()
  .nullish()
  .transform((value) => value ?? undefined);

const protocol = z
  .string()
  .nullish()
  .transform((value) => value ?? 'TCP');

/** Annotations that begin so are options of a discovered service. */
const optionPrefix = 'myelin.dev/';

const texts = z
  .record(z.string(), z.string())
  .nullish()
  .transform((value) => value ?? {});

/** A Service has room for tens of thousands of annotations; those beyond this number are ignored. */
const mostPorts = 1000;

/** Keeps only these labels: a Service may have a megabyte of others. */
export const serviceWith = (labels: readonly string[]) =>
  z.object({
    metadata: z
      .object({
        name: z.string(),
        namespace: z.string(),
        uid: text,
        creationTimestamp: text,
        labels: texts.transform((all) =>
          Object.fromEntries(
            labels.flatMap((name): [string, string][] => (all[name] === undefined ? [] : [[name, all[name]]])),
          ),
        ),
        annotations: texts,
      })
      .transform(({ annotations, ...metadata }) => ({ ...metadata, options: optionsIn(annotations) })),
    spec: z.object({
      type: text,
      clusterIP: text,
      externalName: text,
      internalTrafficPolicy: text,
      ports: list(
        z.object({
          name: text,
          port: z.number(),
          protocol,
          targetPort: z
            .union([z.string(), z.number()])
            .nullish()
            .transform((value) => value ?? undefined),
        }),
      ).transform((ports) => (ports.length > mostPorts ? ports.slice(0, mostPorts) : ports)),
    }),
  });
export const service = serviceWith([]);
export type Service = z.output<typeof service>;

function optionsIn(annotations: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const own = Object.entries(annotations).filter(([name]) => name.startsWith(optionPrefix));
  return boundedOptions(new Map(own.map(([name, value]) => [name.slice(optionPrefix.length), value])));
}

const names = list(z.object({ name: z.string() })).transform((items) => items.map(({ name }) => name));

const unknownConditions: {
  ready?: boolean | undefined;
  serving?: boolean | undefined;
  terminating?: boolean | undefined;
} = {};

const sliceEndpoint = z.object({
  addresses: z.array(z.string()),
  conditions: z
    .object({ ready: flag, serving: flag, terminating: flag })
    .nullish()
    .transform((value) => value ?? unknownConditions),
  nodeName: text,
  zone: text,
  targetRef: z
    .object({ kind: text, name: text })
    .nullish()
    .transform((value) => value ?? undefined),
  hints: z
    .object({ forZones: names, forNodes: names })
    .nullish()
    .transform((value) => value ?? undefined),
});

export const serviceNameLabel = 'kubernetes.io/service-name';

export const endpointSlice = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string(),
    labels: z
      .object({ [serviceNameLabel]: text })
      .nullish()
      .transform((labels) => ({ service: labels?.[serviceNameLabel] })),
  }),
  addressType: z.string(),
  endpoints: list(sliceEndpoint),
  ports: list(
    z.object({
      name: z
        .string()
        .nullish()
        .transform((value) => value ?? ''),
      port: z
        .number()
        .nullish()
        .transform((value) => value ?? undefined),
      protocol,
    }),
  ),
});
export type EndpointSlice = z.output<typeof endpointSlice>;
export type SliceEndpoint = EndpointSlice['endpoints'][number];

export type ListPage = {
  readonly resourceVersion: string;
  /** Asks for the next page; undefined on the last one. */
  readonly next: string | undefined;
  readonly items: readonly unknown[];
};

const listPage = z.object({
  metadata: z.object({ resourceVersion: z.string().min(1), continue: text }),
  items: list(z.unknown()),
});

/** Throws when `body` is no list: a proxy's page, another server. */
export function readPage(body: unknown): ListPage {
  const { metadata, items } = understand('a list of the Kubernetes API', listPage, body);
  const next = metadata.continue === '' ? undefined : metadata.continue;
  return { resourceVersion: metadata.resourceVersion, next, items };
}

/** The Status object by which the server reports a failure, in a response or in a watch. */
export const status = z.object({ code: z.number().nullish(), reason: text, message: text });

const watchEvent = z.object({ type: z.string(), object: z.unknown() });
export type WatchEvent = z.output<typeof watchEvent>;

/** One line of a watch. */
export function readEvent(line: string): WatchEvent {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch (cause) {
    throw new NotUnderstood('the watch sent a line that is not JSON', { cause });
  }
  return understand('an event of a watch', watchEvent, parsed);
}

const versioned = z.object({ metadata: z.object({ resourceVersion: z.string().min(1) }) });

/** What the object of an event, a bookmark's too, says about how far the watch has come. */
export function versionOf(object: unknown): string {
  return understand('an object with a version', versioned, object).metadata.resourceVersion;
}

const identified = z.object({ metadata: z.object({ uid: z.string() }) });

/** Undefined where there is no object. */
export function uidOf(object: unknown): string | undefined {
  return object === undefined ? undefined : understand('an object with an identity', identified, object).metadata.uid;
}

export function understand<S extends z.ZodType>(what: string, schema: S, value: unknown): z.output<S> {
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  const place = issue === undefined || issue.path.length === 0 ? '' : ` (${issue.path.join('.')}: ${issue.message})`;
  throw new NotUnderstood(`the answer is not ${what}${place}`);
}

/** Not what an API server says: a proxy's page, another server, an object of a shape that we do not know. */
export class NotUnderstood extends Error {
  override readonly name = 'NotUnderstood';
}

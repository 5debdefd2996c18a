/** Validates the updates of a user's own watcher. */
import { z } from 'zod';
import { AppError } from '../../src/errors.ts';
import { originFields, type Update, type Watch } from '../../src/model.ts';

const place = { id: z.string(), address: z.string(), port: z.number() };

const endpoint = z.object({
  ...place,
  weight: z.number(),
  state: z.enum(['ready', 'draining']),
  tags: z.array(z.string()).exactOptional(),
  meta: z.record(z.string(), z.string()).exactOptional(),
  origin: z.partialRecord(z.enum(originFields), z.string()).exactOptional(),
});

const service = z.object({
  key: z.string(),
  name: z.string(),
  owner: z.string(),
  createdAt: z.number(),
  options: z.record(z.string(), z.string()),
});

const key = z.string();

const update: z.ZodType<Update> = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('endpoints'),
    key,
    endpoints: z.array(endpoint),
    unreadable: z.array(z.object({ id: z.string(), reason: z.string() })).exactOptional(),
    unfit: z.array(z.object(place)).exactOptional(),
  }),
  z.object({ kind: z.literal('discovered'), key, services: z.array(service) }),
  z.object({ kind: z.literal('gone'), key }),
  z.object({ kind: z.literal('stale'), key, reason: z.string(), isUnanswerable: z.literal(true).exactOptional() }),
  z.object({ kind: z.literal('synced') }),
]);

/** The same watcher, but that it fails when it yields something that is no update. `name` is for messages. */
export function checked(name: string, watch: Watch): Watch {
  return async function* (queries, signal) {
    for await (const yielded of watch(queries, signal)) {
      const { data, error } = update.safeParse(yielded);
      if (error === undefined) yield data;
      else throw notAnUpdate(name, error);
    }
  };
}

function notAnUpdate(name: string, { issues }: z.ZodError): AppError {
  const [issue] = issues;
  const what = issue === undefined ? '' : `: ${z.core.toDotPath(issue.path)}: ${issue.message}`;
  return new AppError('MYELIN_SOURCE_FAILED', `${name} has yielded what is not an update${what}`, {
    remedy: 'see `Update` in docs/watchers/writing-a-watcher.md',
  });
}

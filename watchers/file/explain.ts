/** What the files say of a service, with the places in them: read once, for people. */
import { stat } from 'node:fs/promises';
import { AppError } from '../../src/errors.ts';
import { didYouMean } from '../../src/lib/did-you-mean.ts';
import type { Endpoint, SourceAnswer, SourceInstance, Unreadable } from '../../src/model.ts';
import { readAll, type Text } from './disk.ts';
import type { Parsed } from './parse.ts';
import { Parsing } from './parse-aside.ts';
import { discoveredKey, type Known, learn, nothingKnown } from './results.ts';
import type { FileDiscovery, FileQuery, FileSettings } from './settings.ts';

type Asked = { readonly key: string; readonly settings: FileQuery | FileDiscovery };

/** Rejects where the path cannot be read, or a file that may name the service is broken. */
export async function explainFile(
  { path }: Pick<FileSettings, 'path'>,
  { key, settings }: Asked,
): Promise<SourceAnswer> {
  const texts = await readAll(path);
  const parsed = await parseAll(texts);
  const known = learn(
    nothingKnown,
    new Map([...texts].map(([file, text]) => [file, contentOf(text, parsed.get(file))])),
  );
  const service = 'isForAll' in settings ? key.slice(discoveredKey('').length) : (settings.service ?? key);
  const answer = answerOf(known, path, service);
  const owner = known.owners.get(service)?.[0].path;
  return owner === undefined ? answer : { ...answer, said: [...(await writtenAt(owner)), ...answer.said] };
}

/** What these files say of the service. Throws where one that may name it is broken. */
function answerOf({ files, owners }: Known, path: string, service: string): SourceAnswer {
  const [owner, ...others] = owners.get(service) ?? [];
  if (owner === undefined) {
    const [broken] = [...files.values()].flatMap(({ problem }) => problem ?? []);
    if (broken !== undefined) throw new AppError('MYELIN_SOURCE_FAILED', broken);
    const reason = `${path} has no \`services.${service}\`${didYouMean(service, [...owners.keys()])}`;
    return {
      unfit: { reason, remedy: 'write it there, or its name in the query (`service`)' },
      said: [],
      instances: [],
    };
  }
  const { entry } = owner;
  const hidden = others.map(
    ({ entry: { place } }) => `${place} names it as well, and does not count: ${owner.path} comes first`,
  );
  const said = [`${entry.place} names it`, ...hidden];
  if (entry.kind === 'unreadable')
    return { unfit: { reason: entry.reason, remedy: 'correct it: it is read again at once' }, said, instances: [] };
  return { unfit: null, said, instances: [...entry.endpoints.map(fit), ...entry.unreadable.map(wrong)] };
}

function fit({ id, address, port, weight, state, tags = [] }: Endpoint): SourceInstance {
  const tagged = tags.length === 0 ? [] : [`tags ${tags.join(', ')}`];
  return { id, address, port, unfit: null, said: [state, `weight ${weight}`, ...tagged] };
}

function wrong({ id, reason }: Unreadable): SourceInstance {
  return { id, address: '', port: 0, unfit: reason, said: [] };
}

async function parseAll(texts: ReadonlyMap<string, Text>): Promise<ReadonlyMap<string, Parsed | null>> {
  await using parsing = new Parsing(() => {});
  const parse = (): ReadonlyMap<string, Parsed | null> =>
    new Map(
      [...texts].map(([file, one]) => [file, one.kind === 'text' ? parsing.parse({ file, text: one.text }) : null]),
    );
  parse();
  await parsing.idle();
  return parse();
}

function contentOf(text: Text, parsed: Parsed | null | undefined) {
  const reason = text.kind === 'unreadable' ? text.reason : 'it could not be parsed';
  return { text, parsed: parsed ?? ({ kind: 'invalid', reason } as const) };
}

/** The file may be gone by now. */
async function writtenAt(file: string): Promise<readonly string[]> {
  const found = await stat(file).catch(() => null);
  return found === null ? [] : [`${file} was last written at ${found.mtime.toISOString()}`];
}

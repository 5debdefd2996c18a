/** The ACL token of the next request: fixed, or from a file that somebody renews. */
import { readFile } from 'node:fs/promises';
import { AppError } from '../../src/errors.ts';
import type { Connection } from './connection.ts';

/** A renewed file is in use after this long: soon enough for a token that was refused, seldom enough to cost nothing. */
const readAgainMs = 1000;

/** `onSecret` is told of each before it is used. */
export function tokenReader(
  { token, tokenFile }: Connection,
  onSecret: (secret: string) => void,
): () => Promise<string | undefined> {
  if (token !== undefined) onSecret(token);
  if (tokenFile === undefined) return () => Promise.resolve(token);
  let readAt = Number.NEGATIVE_INFINITY;
  let reading: Promise<string> | undefined;
  return () => {
    if (reading === undefined || performance.now() - readAt >= readAgainMs) {
      readAt = performance.now();
      reading = readToken(tokenFile).then((read) => {
        onSecret(read);
        return read;
      });
    }
    return reading;
  };
}

async function readToken(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new AppError('MYELIN_SOURCE_FAILED', `cannot read the token file ${path}`, { cause });
  });
  // While it is being written anew the file may be empty; asking without a token would look like an empty service.
  if (text.trim() === '') throw new AppError('MYELIN_SOURCE_FAILED', `the token file ${path} is empty`);
  return text.trim();
}

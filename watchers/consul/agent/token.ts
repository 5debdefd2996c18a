/** The ACL token of the next request: fixed, or from a file that may be renewed. */
import { readFile } from 'node:fs/promises';
import { AppError } from '../../../src/errors.ts';
import type { Connection } from './connection.ts';

/** A renewed token is used after this time: soon after a refusal, and reading the file so often costs nothing. */
const readAgainMs = 1000;

/** `onSecret` is called with each token before its first use. */
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
  // The file may be empty while it is being written. Without a token, a request may find an empty service.
  if (text.trim() === '') throw new AppError('MYELIN_SOURCE_FAILED', `the token file ${path} is empty`);
  return text.trim();
}

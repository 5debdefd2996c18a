/** What all tests of a file share. */
import { after } from 'node:test';

/** It is there before the first test of the file, and goes after its last one. */
export async function forFile<T extends AsyncDisposable>(starting: Promise<T>): Promise<T> {
  const started = await starting;
  after(() => started[Symbol.asyncDispose]());
  return started;
}

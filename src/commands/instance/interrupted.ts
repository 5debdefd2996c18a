/** For commands that go on until Ctrl-C, or until the reader of their output has enough. */

export function interrupted(): AbortController {
  const stop = new AbortController();
  const end = (): void => stop.abort();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, end);
  process.stdout.once('error', end);
  return stop;
}

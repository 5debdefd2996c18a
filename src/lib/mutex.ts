/** Keeps works apart that must not meet: each begins when the one before it has ended, however that ended. */

export type Mutex = <T>(work: () => Promise<T>) => Promise<T>;

export function createMutex(): Mutex {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const done = last.then(work);
    // Whoever asked gets the error; the next one's turn comes all the same.
    last = done.catch(() => {});
    return done;
  };
}

/** Keeps works apart that must not meet: each begins when the one before it has ended, however that ended. */

export type Mutex = <T>(work: () => Promise<T>) => Promise<T>;

export function createMutex(): Mutex {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const done = last.then(work);
    // The caller gets the error; the next work begins all the same.
    last = done.catch(() => {});
    return done;
  };
}

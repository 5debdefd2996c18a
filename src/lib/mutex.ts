/** Runs tasks one at a time: each begins when the previous one has ended, even by an error. */

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

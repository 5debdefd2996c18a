/** When a run of tests or a benchmark has to end: it was told so, or nobody waits for it any more. */

/** How soon it shows that whoever started us was killed. */
const lookEveryMs = 500;

/** Aborts at Ctrl-C, at SIGTERM and SIGHUP, and when `run.mjs` that started this process has ended. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  // A terminal signals the whole group, and `run.mjs` hands on what it gets: the second is no other wish than the first.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort());
  const { ppid } = process;
  // Started in another way it may well be meant to outlive a shell.
  if (process.env.MYELIN_LAUNCHER === `${ppid}`) {
    const timer = setInterval(() => {
      if (process.ppid === ppid) return;
      clearInterval(timer);
      stop.abort();
    }, lookEveryMs).unref();
  }
  return stop.signal;
}

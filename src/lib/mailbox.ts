/** Holds values that a callback puts until `for await` reads them: of each key only the newest unread one, so it is bounded. */

export class Mailbox<Value> {
  readonly #unread = new Map<string, Value>();
  #failure: { readonly error: unknown } | undefined;
  #news = Promise.withResolvers<void>();

  /**
   * Replaces the unread value of `key`; values are read in the order in which they were last put, or `inPlace`: the new
   * one when the old one would have been.
   */
  put(key: string, value: Value, { inPlace = false } = {}): void {
    if (!inPlace) this.#unread.delete(key);
    this.#unread.set(key, value);
    this.#news.resolve();
  }

  /** Ends the reading with `error`, after what is unread. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#news.resolve();
  }

  /** Ends when `signal` aborts. For one reader. */
  async *read(signal: AbortSignal): AsyncGenerator<Value, void, undefined> {
    const wake = (): void => this.#news.resolve();
    signal.addEventListener('abort', wake);
    try {
      while (!signal.aborted) {
        const [first] = this.#unread;
        if (first !== undefined) {
          this.#unread.delete(first[0]);
          yield first[1];
        } else if (this.#failure !== undefined) {
          throw this.#failure.error;
        } else {
          this.#news = Promise.withResolvers();
          await this.#news.promise;
        }
      }
    } finally {
      signal.removeEventListener('abort', wake);
    }
  }
}

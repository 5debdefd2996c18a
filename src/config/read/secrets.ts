/** What is masked in everything that people see. */

/** Tokens are renewed: of those that sources used, so many are remembered, the last ones. */
const mostUsed = 100;

export class Secrets {
  // For good: messages may be older than the config.
  readonly #configured = new Set<string>();
  readonly #used = new Set<string>();

  constructor(configured: readonly string[] = []) {
    this.configured(configured);
  }

  get all(): readonly string[] {
    return [...this.#configured, ...this.#used];
  }

  configured(secrets: readonly string[]): void {
    for (const secret of secrets) this.#configured.add(secret);
  }

  /** What a source proves itself with, wherever it has that from. */
  readonly used = (secret: string): void => {
    this.#used.delete(secret);
    this.#used.add(secret);
    const [oldest] = this.#used;
    if (this.#used.size > mostUsed && oldest !== undefined) this.#used.delete(oldest);
  };
}

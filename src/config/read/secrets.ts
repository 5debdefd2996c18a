/** Collects the secrets that `mask.ts` masks in everything that people see. */

/** The number of credentials of sources that are remembered, the latest ones: tokens are renewed regularly. */
const mostUsed = 100;

export class Secrets {
  // Never dropped: a message may contain a secret of a former config.
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

  /** Remembers a credential that a source uses, wherever the source got it. */
  readonly used = (secret: string): void => {
    this.#used.delete(secret);
    this.#used.add(secret);
    const [oldest] = this.#used;
    if (this.#used.size > mostUsed && oldest !== undefined) this.#used.delete(oldest);
  };
}

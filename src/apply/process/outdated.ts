/** Why the process that serves is to be replaced though it serves what is wanted: a reload is the cure for both. */
import type { BinaryIdentity } from '../../haproxy/binary/binary.ts';
import { isThere } from '../../lib/files/files.ts';
import type { ReloadReason } from '../../model.ts';
import { isReplaced, type Serving } from './serving.ts';

/** Of one process at a time; it starts empty for the next one. */
export class Outdated {
  #about: Serving | null = null;
  /** Of the executable that is another one than the process was started from. */
  #newBinary: string | null = null;
  /** Where the process was asked, and can be asked no more once the connection that is held ends. */
  #lostSocket: string | null = null;

  reasons(serving: Serving): readonly ReloadReason[] {
    if (this.#about !== serving) return [];
    return [
      ...(this.#newBinary === null ? [] : [{ code: 'binary_changed' } as const]),
      ...(this.#lostSocket === null ? [] : [{ code: 'socket_removed', detail: this.#lostSocket } as const]),
    ];
  }

  /** Whether the executable turned out to be another one just now. `now`: as it is; null: not known. */
  compareBinary(serving: Serving, now: BinaryIdentity | null): boolean {
    this.#begin(serving);
    const before = this.#newBinary;
    this.#newBinary = isReplaced(serving, now) ? (now?.path ?? null) : null;
    return this.#newBinary !== null && before === null;
  }

  /** Whether its socket turned out to be lost just now, and another process can take over from it at `handedOn`. */
  async losesSocket(serving: Serving, handedOn: string): Promise<boolean> {
    const { socket } = serving.generation;
    const isLost = !(await isThere(socket)) && (await isThere(handedOn));
    this.#begin(serving);
    const before = this.#lostSocket;
    this.#lostSocket = isLost ? socket : null;
    return isLost && before === null;
  }

  #begin(serving: Serving): void {
    if (this.#about === serving) return;
    this.#about = serving;
    this.#newBinary = null;
    this.#lostSocket = null;
  }
}

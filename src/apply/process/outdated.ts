/** Why to replace the serving process although it runs the desired config: a new executable, or a lost socket. */
import type { BinaryIdentity } from '../../haproxy/binary/binary.ts';
import { isThere } from '../../lib/files/files.ts';
import type { ReloadReason } from '../../model.ts';
import { isReplaced, type Serving } from './serving.ts';

/** Holds for one process at a time; starts empty for the next one. */
export class Outdated {
  #about: Serving | null = null;
  /** Path of the executable, if it differs from the one that the process was started from. */
  #newBinary: string | null = null;
  /** The removed socket: the process can no longer be queried once the open connection ends. */
  #lostSocket: string | null = null;

  reasons(serving: Serving): readonly ReloadReason[] {
    if (this.#about !== serving) return [];
    return [
      ...(this.#newBinary === null ? [] : [{ code: 'binary_changed' } as const]),
      ...(this.#lostSocket === null ? [] : [{ code: 'socket_removed', detail: this.#lostSocket } as const]),
    ];
  }

  /** Whether this call found that the executable has changed. `now`: the present one; null: not known. */
  compareBinary(serving: Serving, now: BinaryIdentity | null): boolean {
    this.#begin(serving);
    const before = this.#newBinary;
    this.#newBinary = isReplaced(serving, now) ? (now?.path ?? null) : null;
    return this.#newBinary !== null && before === null;
  }

  /** Whether this call found that the socket is lost, and a new process can take over by `handedOn`. */
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

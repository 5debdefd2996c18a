/**
 * The programs in pods: each answers with its name at an address of its own in 192.0.2.0/24, which is this machine where
 * no other network is. All in one HAProxy.
 */
import { ask } from '../../src/haproxy/cli/socket.ts';
import { requestsOf, startFrontends } from './backend.ts';

export type Pods = AsyncDisposable & {
  addressOf(name: string): string;
  /** It takes connections, as from the start; or it takes no more, as a program that ends. */
  listen(name: string, isListening: boolean): Promise<void>;
  /** How many requests each of them got so far. */
  answered(names: readonly string[]): Promise<readonly number[]>;
};

export const podPort = 8080;
/** Here each answers with its name and `:` and this. */
export const otherPodPort = 9090;

export async function startPods(names: readonly string[]): Promise<Pods> {
  if (names.length > 254) throw new RangeError('there are not so many addresses');
  const addresses = new Map(names.map((name, at) => [name, `192.0.2.${at + 1}`]));
  const frontend = (name: string, port: number, answer: string): string =>
    [
      `frontend ${answer}`,
      `    bind ${addresses.get(name)}:${port}`,
      `    http-request return status 200 content-type text/plain string ${answer}`,
    ].join('\n');
  const running = await startFrontends(
    names.flatMap((name) => [frontend(name, podPort, name), frontend(name, otherPodPort, `${name}:${otherPodPort}`)]),
  );
  const { socket } = running;
  return {
    addressOf(name) {
      const address = addresses.get(name);
      if (address === undefined) throw new RangeError(`there is no pod ${name}`);
      return address;
    },
    async listen(name, isListening) {
      const what = isListening ? 'enable' : 'disable';
      await ask(
        socket,
        [name, `${name}:${otherPodPort}`].map((one) => `${what} frontend ${one}`),
      );
    },
    async answered(some) {
      const stat = await ask(socket, ['show stat']);
      return some.map((name) => requestsOf(stat, name));
    },
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

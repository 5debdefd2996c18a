/** Requests over TLS, a few at once, until the end: over new connections, and over one that stays open. */
import { Agent, get, type RequestOptions } from 'node:https';

type TlsLoad = { end(): Promise<{ readonly done: number; readonly failures: readonly string[] }> };

/** `port` is one of 127.0.0.1. */
export function tlsLoad(to: Pick<RequestOptions, 'port' | 'servername' | 'cert' | 'key'>): TlsLoad {
  const options = { host: '127.0.0.1', rejectUnauthorized: false, ...to };
  const held = new Agent({ keepAlive: true, maxSockets: 1 });
  let isOver = false;
  let done = 0;
  const failures: string[] = [];
  const one = (agent: Agent | false): Promise<void> =>
    new Promise((fulfil) => {
      get({ ...options, agent }, (response) => {
        if (response.statusCode === 200) done++;
        else failures.push(`status ${response.statusCode}`);
        response.resume().on('end', fulfil);
      }).on('error', (error) => {
        failures.push(error.message);
        fulfil();
      });
    });
  const client = async (agent: Agent | false): Promise<void> => {
    while (!isOver) await one(agent);
  };
  const clients = Promise.all([client(held), client(false)]);
  return {
    async end() {
      isOver = true;
      await clients;
      held.destroy();
      return { done, failures };
    },
  };
}

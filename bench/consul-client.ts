/** Asks and changes a Consul agent over kept connections: what takes its time is Consul, not a client that connects. */
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import type { Ms } from '../src/model.ts';
import { now } from './clock.ts';

type Reply = { readonly headers: IncomingHttpHeaders; readonly text: string; readonly at: Ms };

/** When the agent has told of what was listened for. */
export type Listener = { readonly told: Promise<Ms> };

/** Longer than any blocking query waits. */
const longestAnswerMs: Ms = 90_000;

export class ConsulClient implements Disposable {
  readonly #address: string;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(address: string) {
    this.#address = address;
  }

  ask(method: 'GET' | 'PUT', path: string, body?: unknown): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const signal = AbortSignal.timeout(longestAnswerMs);
    const asking = request(`${this.#address}${path}`, { method, agent: this.#agent, signal }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject).on('end', () => {
        if (response.statusCode === 200) resolve({ headers: response.headers, text, at: now() });
        else reject(new Error(`${method} ${path}: HTTP ${response.statusCode} ${text}`));
      });
    });
    asking.on('error', reject).end(body === undefined ? undefined : JSON.stringify(body));
    return promise;
  }

  /** Listens as every client of the agent does, by blocking queries, until there are `count` instances. */
  async listen(service: string, count: number): Promise<Listener> {
    const path = `/v1/health/service/${service}?passing`;
    const before = await this.ask('GET', path);
    const told = async (): Promise<Ms> => {
      for (let reply = before; ; ) {
        reply = await this.ask('GET', `${path}&wait=60s&index=${String(reply.headers['x-consul-index'])}`);
        if ((JSON.parse(reply.text) as readonly unknown[]).length >= count) return reply.at;
      }
    };
    return { told: told() };
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

/** Whether it keeps the contract, with a real web server: `node --test http-json.test.ts`. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { holdsTheContract, type Subject, watchOf } from 'myelin/contract';
import { source } from './http-json.ts';

async function makeSubject(): Promise<Subject> {
  const services = new Map<string, readonly string[]>();
  let isDown = false;
  let flickering: string | null = null;
  const server = createServer((_, response) => {
    response.writeHead(isDown ? 503 : 200, { 'content-type': 'application/json' });
    const said = new Map(services);
    if (flickering !== null) said.delete(flickering);
    flickering = null;
    response.end(JSON.stringify(Object.fromEntries(said)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    watch: await watchOf(source, { url: `http://127.0.0.1:${port}/`, interval: '50ms' }),
    settings: (service) => source.query.parse({ service }),
    async put(service, addresses) {
      services.set(service, addresses);
    },
    async fail() {
      isDown = true;
    },
    async mend() {
      isDown = false;
    },
    async flicker(service) {
      flickering = service;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

holdsTheContract('http-json', makeSubject, { failsBy: 'throwing' });

/** The demo's backends: small HTTP servers that respond with their name, started and stopped while traffic runs. */
import { createServer, type Server } from 'node:http';
import { AppError } from '../errors.ts';

export type Backend = {
  readonly name: string;
  readonly port: number;
  /** Finishes current responses, and closes idle connections. */
  stop(): Promise<void>;
};

export async function startBackend(name: string, port: number): Promise<Backend> {
  const server = createServer((_request, response) => response.end(`${name}\n`));
  // HAProxy keeps idle connections for reuse; a backend that closes them first would race with the next request.
  server.keepAliveTimeout = 120_000;
  await listening(server, name, port);
  return {
    name,
    port,
    stop: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeIdleConnections();
      }),
  };
}

function listening(server: Server, name: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new AppError('MYELIN_USAGE', `the demo's backend ${name} cannot listen on 127.0.0.1:${port}`, {
          cause,
          remedy: 'stop what holds the port, or choose others with --port-base',
        }),
      ),
    );
    server.listen(port, '127.0.0.1', resolve);
  });
}

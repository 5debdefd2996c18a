/** A server that sends back what it gets, over bare TCP and over WebSockets: what outlives a reload is a connection. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

type Echo = AsyncDisposable & { readonly port: number };

export function startEcho(): Promise<Echo> {
  return listen(
    createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.pipe(socket);
    }),
  );
}

/** Takes short text messages, each in one frame. */
export function startWebSocketEcho(): Promise<Echo> {
  const server = createHttpServer((_, response) => response.end('no upgrade'));
  server.on('upgrade', (request, socket) => {
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    let rest = Buffer.alloc(0);
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      for (let frame = takeFrame(rest); frame !== null; frame = takeFrame(rest)) {
        rest = rest.subarray(frame.length);
        socket.write(Buffer.concat([Buffer.from([frame.head, frame.payload.length]), frame.payload]));
        // A close frame is answered, and then it is the server that closes.
        if ((frame.head & 0x0f) === 8) socket.end();
      }
    });
  });
  return listen(server);
}

/** RFC 6455 §5.2: two bytes, a mask of four, and a payload of less than 126 bytes; null while it is not all there. */
function takeFrame(bytes: Buffer): { head: number; payload: Buffer; length: number } | null {
  const size = (bytes[1] ?? 0) & 0x7f;
  const length = 6 + size;
  if (bytes.length < length) return null;
  const mask = bytes.subarray(2, 6);
  const payload = Buffer.from(bytes.subarray(6, length).map((byte, at) => byte ^ (mask[at % 4] ?? 0)));
  return { head: bytes[0] ?? 0, payload, length };
}

async function listen(server: Server): Promise<Echo> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Certificates of shared frontends, and what a client is shown of them. */
import { randomBytes } from 'node:crypto';
import { get } from 'node:https';
import { connect } from 'node:tls';
import { inspect } from '../../src/certificates/inspect.ts';
import { selfSignedPem } from '../../src/certificates/self-signed.ts';

/** A new one for this name; `days` as of `selfSignedPem`, ending `agoDays` ago where that is given. */
export function pemFor(name: string, { days = 90, now = new Date() } = {}): string {
  return selfSignedPem(now, { names: [name], days });
}

export function serialOf(pem: string): string {
  const inspected = inspect({ certificate: pem, key: null });
  if (inspected.kind === 'unsound') throw new Error(inspected.reason);
  return inspected.serial;
}

/** The serial number that a new client is shown which asks for this name; rejects where there is no handshake. */
export function shownSerial(port: number, servername = `${randomBytes(4).toString('hex')}.test`): Promise<string> {
  return new Promise((fulfil, reject) => {
    const socket = connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false }, () => {
      fulfil(socket.getPeerCertificate().serialNumber);
      socket.end();
    });
    socket.on('error', reject);
  });
}

/** A certificate and its key, parted, as clients and CA files want them. */
export function parted(pem: string): { readonly cert: string; readonly key: string } {
  const at = pem.indexOf('-----BEGIN PRIVATE');
  return { cert: pem.slice(0, at), key: pem.slice(at) };
}

/** The status that a client gets which shows this certificate, null: none; or the code of its failure. */
export function answerTo(port: number, pem: string | null): Promise<number | string> {
  const client = pem === null ? {} : parted(pem);
  return new Promise((fulfil) => {
    get({ port, host: '127.0.0.1', rejectUnauthorized: false, agent: false, ...client }, (response) => {
      response.resume();
      fulfil(response.statusCode ?? 0);
    }).on('error', (error) => fulfil('code' in error ? String(error.code) : error.message));
  });
}

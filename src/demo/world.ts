// The last part of the demo: a guest fetches a page from a web server on the host over an uplink.

import { execFileSync } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Nic, OperatorError } from '../index.ts';
import type { Cleanups } from './cleanups.ts';
import { findProgram } from './guest/requirements.ts';
import type { GuestPair } from './guest-pair.ts';

export interface WorldReport {
  readonly uplink: 'passt' | 'tap';
  /** The guest's address on that network. */
  readonly address: string;
  readonly pageBytes: number;
}

const PAGE = 'A page from a web server on the host.\n';
const TAP = { interface: 'heddle-demo', hostAddress: '10.0.0.254', guestAddress: '10.0.0.1' };

/**
 * Adds an uplink and uses it; says why if it cannot. passt needs user namespaces, which a container
 * may not allow: then root can still use a TAP.
 */
export async function reachWorld(
  nic: Nic,
  pair: GuestPair,
  cleanups: Cleanups,
  say: (line: string) => void,
): Promise<WorldReport | undefined> {
  const { fetchPage } = pair;
  if (fetchPage === undefined) return undefined;
  const types: WorldReport['uplink'][] = [];
  if (findProgram('passt') !== undefined) types.push('passt');
  if (process.getuid?.() === 0) types.push('tap');
  if (types.length === 0) say('No uplink: passt is not installed, and a TAP needs root.');
  for (const type of types) {
    try {
      const { port, host } = await openUplink(nic, type, cleanups);
      const { address, page } = await fetchPage.call(pair, { port, host });
      if (page !== PAGE) throw new Error(`the page is ${JSON.stringify(page.slice(0, 80))}`);
      const source = type === 'passt' ? 'from DHCP' : 'that it had';
      const what = `a page fetched with the address ${address} ${source}`;
      say(`vm1 reaches the host through ${type}: ${what}.`);
      return { uplink: type, address, pageBytes: page.length };
    } catch (error) {
      const { message } = error as Error;
      const isRefused = error instanceof OperatorError;
      say(`No network through ${type}: ${message}.${isRefused ? ` ${error.hint}` : ''}`);
      // An uplink that was refused has not changed the guest; any other failure has.
      if (!isRefused) return undefined;
    }
  }
  return undefined;
}

/** `host`: the server's address, as the guest sees it; undefined: its router. */
async function openUplink(
  nic: Nic,
  type: WorldReport['uplink'],
  cleanups: Cleanups,
): Promise<{ port: number; host: string | undefined }> {
  if (type === 'passt') {
    await nic.addUplink({ name: 'world', type });
    return { port: await serve('127.0.0.1', cleanups), host: undefined };
  }
  await nic.addUplink({ name: 'world', type, interface: TAP.interface });
  // The address vanishes with the TAP, which vanishes with the NIC.
  execFileSync('ip', ['address', 'add', `${TAP.hostAddress}/24`, 'dev', TAP.interface]);
  return { port: await serve(TAP.hostAddress, cleanups), host: TAP.hostAddress };
}

async function serve(address: string, cleanups: Cleanups): Promise<number> {
  const server: Server = createServer((_, response) => response.end(PAGE));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, address, resolve);
  });
  cleanups.push(async () => server.close());
  return (server.address() as AddressInfo).port;
}

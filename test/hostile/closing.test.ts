import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AF_INET, MSG_DONTWAIT, SOCK_STREAM, SOL_SOCKET } from '../../src/os/constants.ts';
import { c } from '../../src/os/libc.ts';
import { scratch } from '../../src/os/scratch.ts';
import { checked } from '../../src/os/system-error.ts';
import { createSocketPair, sendMessage } from '../../src/os/unix-socket.ts';
import { writeU64 } from '../../src/vhost-user/message.ts';
import { FrontEnd, RequestRefused } from '../support/mock-driver/front-end.ts';
import { MODERN_FEATURES } from '../support/mock-driver/guest-queues.ts';
import { negotiate } from '../support/mock-driver/handshake.ts';
import { ATTACKER, HostileLab } from './hostile-lab.ts';

// Whoever closes the last descriptor of a TCP socket with SO_LINGER sleeps until its peer has read
// all of it. What a front-end sends is the NIC's to close, and the peer may be the front-end's too.

const SO_LINGER = 13;
/** Longer than any test may take. */
const LINGER_SECONDS = 600;
const QUEUE = writeU64(1n);

let hostile: HostileLab;

beforeEach(async () => {
  hostile = await HostileLab.start();
});

afterEach(async () => {
  await hostile.close();
});

/** A TCP socket that is full, and has to be empty before it is closed. */
function lingeringSocket(port: number): number {
  const { view, address } = scratch;
  view.setBigUint64(8, 0n);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  view.setUint32(4, 0x7f000001);
  const fd = checked('socket', c.socket(AF_INET, SOCK_STREAM, 0));
  checked('connect', c.connect(fd, address, 16));
  view.setUint32(0, 1, true);
  view.setUint32(4, LINGER_SECONDS, true);
  checked('setsockopt', c.setsockopt(fd, SOL_SOCKET, SO_LINGER, address, 8));
  while (c.send(fd, address, 65536, MSG_DONTWAIT) > 0);
  return fd;
}

/** Listens for such sockets, and reads nothing. */
async function listenDeaf(): Promise<{ server: Server; port: number; end: Promise<Socket> }> {
  const server = createServer({ pauseOnConnect: true });
  const end = new Promise<Socket>((settle) => server.once('connection', settle));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port, end };
}

/** How the front-end hands the socket over; its own descriptor is closed by whoever calls. */
const WAYS: Record<string, (frontEnd: FrontEnd, fd: number) => Promise<void>> = {
  'as an interrupt, which is refused': async (frontEnd, fd) => {
    await expect(frontEnd.send('SET_VRING_CALL', QUEUE, [fd])).rejects.toThrow(RequestRefused);
  },
  'in the queue of a socket for interrupts': async (frontEnd, fd) => {
    const [near, far] = createSocketPair();
    sendMessage(far, Uint8Array.of(1), [fd]);
    await frontEnd.send('SET_VRING_CALL', QUEUE, [near]);
    c.close(near);
    c.close(far);
  },
  'behind a message that ends the connection': async (frontEnd, fd) => {
    const wrongVersion = new Uint8Array(12);
    frontEnd.sendRaw(wrongVersion);
    frontEnd.sendRaw(new Uint8Array(12), [fd]);
  },
};

describe('a front-end hands over a socket that whoever closes it waits for', () => {
  it.each(Object.entries(WAYS))('%s', async (_, handOver) => {
    const { lab } = hostile;
    await hostile.withBystanders(async () => {
      const { server, port, end } = await listenDeaf();
      const frontEnd = FrontEnd.connect(lab.socket(ATTACKER));
      await negotiate(frontEnd, MODERN_FEATURES);
      const gone = lab.next('disconnect', ATTACKER);
      const fd = lingeringSocket(port);
      const handed = handOver(frontEnd, fd);
      c.close(fd); // it travels, so this is not the last descriptor
      await handed;
      frontEnd.close();
      await gone;
      // The NIC's thread has come this far, and the socket is as full as it was.
      (await end).destroy();
      server.close();
      await once(server, 'close');
    });
  });
});

import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { AF_INET, MSG_DONTWAIT, SOCK_STREAM, SOL_SOCKET } from '../../src/os/constants.ts';
import { c } from '../../src/os/libc.ts';
import { scratch } from '../../src/os/scratch.ts';
import { checked } from '../../src/os/system-error.ts';

const SO_LINGER = 13;
/** Longer than any test may take. */
const LINGER_SECONDS = 600;

/** A full TCP socket with a linger time: the last close blocks until the socket is empty. */
export function lingeringSocket(port: number): number {
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

/** Listens for such sockets, and never reads. */
export async function listenDeaf() {
  const server = createServer({ pauseOnConnect: true });
  const sockets: Socket[] = [];
  server.on('connection', (socket) => sockets.push(socket.on('error', () => undefined)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    /** Ends the connections, so that lingering closes return. */
    async close(): Promise<void> {
      const isClosed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await isClosed;
    },
  };
}

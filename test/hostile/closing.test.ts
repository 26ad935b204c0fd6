import { once } from 'node:events';
import { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { c } from '../../src/os/libc.ts';
import { createSocketPair, sendMessage } from '../../src/os/unix-socket.ts';
import { FrontEnd, RequestRefused } from '../../src/testing/front-end.ts';
import { MODERN_FEATURES } from '../../src/testing/guest-queues.ts';
import { negotiate } from '../../src/testing/handshake.ts';
import { writeU64 } from '../../src/vhost-user/message.ts';
import { lingeringSocket, listenDeaf } from '../support/lingering-socket.ts';
import { createPipe } from '../support/pipe.ts';
import { ATTACKER, HostileLab } from './hostile-lab.ts';

// Closing the last descriptor of a TCP socket with SO_LINGER blocks until the peer has read
// everything. The NIC must close the descriptors that a front-end sends, and the front-end may own
// the peer, too.

const QUEUE = writeU64(1n);
const OTHER = 9;

let hostile: HostileLab;

beforeEach(async () => {
  hostile = await HostileLab.start();
});

afterEach(async () => {
  await hostile.close();
});

/** How the front-end hands the socket over; the caller closes its own descriptor. */
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
  'after a message that ends the connection': async (frontEnd, fd) => {
    const wrongVersion = new Uint8Array(12);
    frontEnd.sendRaw(wrongVersion);
    frontEnd.sendRaw(new Uint8Array(12), [fd]);
  },
};

describe('a front-end hands over a socket whose close blocks', () => {
  it.each(Object.entries(WAYS))('%s', async (_, handOver) => {
    const { lab } = hostile;
    await hostile.withBystanders(async () => {
      const deaf = await listenDeaf();
      const frontEnd = FrontEnd.connect(lab.socket(ATTACKER));
      await negotiate(frontEnd, MODERN_FEATURES);
      const gone = lab.next('disconnect', ATTACKER);
      const fd = lingeringSocket(deaf.port);
      const handed = handOver(frontEnd, fd);
      c.close(fd); // it is in the message, so this is not the last descriptor
      await handed;
      frontEnd.close();
      await gone;
      // The NIC's thread is not blocked, and the socket is as full as before.
      await deaf.close();
    });
  });
});

describe('a front-end that hands over hundreds of such sockets', () => {
  /** Far more than one VF may have being closed. */
  const SOCKETS = 300;

  it('uses up its own share of closes, and no other', async () => {
    const { lab } = hostile;
    const other = { name: 'other', socket: lab.socket(OTHER), allowUnsealedMemory: true };
    await lab.nic.addVf(other); // trusted: its interrupts may be pipes
    await hostile.withBystanders(async () => {
      const deaf = await listenDeaf();
      const told = lab.next('fault', ATTACKER, /cannot be closed/);
      const gone = lab.next('disconnect', ATTACKER, /cannot be closed/);
      const frontEnd = FrontEnd.connect(lab.socket(ATTACKER));
      await negotiate(frontEnd, MODERN_FEATURES);
      const unsent: number[] = [];
      for (let count = 0; count < SOCKETS && !frontEnd.isClosed; count++) {
        const fd = lingeringSocket(deaf.port);
        const handed = WAYS['as an interrupt, which is refused']?.(frontEnd, fd);
        // A socket that was not sent is the last descriptor: this thread would wait for its close.
        if (frontEnd.isClosed) unsent.push(fd);
        else c.close(fd);
        await Promise.race([handed?.catch(() => undefined), frontEnd.closed]);
      }
      await Promise.all([told, gone]);
      frontEnd.close();
      // Descriptors of other front-ends are still closed: the far end of this pipe sees it.
      const other = FrontEnd.connect(lab.socket(OTHER));
      await negotiate(other, MODERN_FEATURES);
      const [reader, writer] = createPipe();
      await other.send('SET_VRING_CALL', QUEUE, [writer]);
      c.close(writer);
      other.close();
      const pipe = new Socket({ fd: reader, readable: true, writable: false }).resume();
      await once(pipe, 'close');
      // A new front-end has to wait; once the sockets are closed it is accepted.
      const again = FrontEnd.connect(lab.socket(ATTACKER));
      const isIn = negotiate(again, MODERN_FEATURES);
      const connected = lab.next('connect', ATTACKER);
      expect(lab.nic.vf('vf0').state).toBe('down');
      await deaf.close();
      for (const fd of unsent) c.close(fd);
      await Promise.all([connected, isIn]);
      const end = lab.next('disconnect', ATTACKER);
      again.close();
      await end;
    });
  });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEventFd } from '../../src/os/event-fd.ts';
import { FrontEnd, RequestRefused } from '../../src/testing/front-end.ts';
import { MODERN_FEATURES } from '../../src/testing/guest-queues.ts';
import { maskOf, negotiate } from '../../src/testing/handshake.ts';
import {
  FLAG_NEED_REPLY,
  FLAG_REPLY,
  FrontendRequest,
  HEADER_SIZE,
  ProtocolFeature,
  readU64,
  viewOf,
  writeMessage,
  writeU64,
  writeVringAddress,
  writeVringState,
} from '../../src/vhost-user/message.ts';
import { isRaised } from '../support/event-fd.ts';
import { openFdCount } from '../support/file-descriptors.ts';
import { hastened } from '../support/hastened.ts';
import { ATTACKER, HostileLab } from './hostile-lab.ts';
import { SOCKET_CASES, type SocketCase, WRONG_RINGS } from './socket-cases.ts';
import { MESSAGE_TIMEOUT_MS } from './vmm-cases.ts';

const NOTHING = new Uint8Array(0);

describe('a malicious front-end', () => {
  let hostile: HostileLab;

  beforeAll(async () => {
    hostile = await HostileLab.start();
  });

  afterAll(async () => {
    await hostile.close();
  });

  function connect(): FrontEnd {
    return FrontEnd.connect(hostile.lab.socket(ATTACKER));
  }

  /** Ends a connection, from either side, and waits until the NIC has cleaned up. */
  async function disconnect(frontEnd: FrontEnd): Promise<void> {
    const gone = hostile.lab.next('disconnect', ATTACKER);
    frontEnd.close();
    await gone;
  }

  /** The request fails with a reply, or if there is none, the connection is closed. */
  async function expectRefusal({ request, payload, fds, says }: SocketCase): Promise<void> {
    const polite = connect();
    await negotiate(polite, MODERN_FEATURES);
    const sent = fds?.() ?? [];
    await expect(polite.send(request, payload(), sent)).rejects.toThrow(RequestRefused);
    expect(hostile.lab.nic.vf('vf0').lastFault).toMatch(says);
    await polite.ask('GET_FEATURES'); // the connection still works
    await disconnect(polite);

    const rude = connect();
    const all = maskOf(Object.values(ProtocolFeature).filter((bit) => bit !== 14));
    await rude.send('SET_PROTOCOL_FEATURES', writeU64(all));
    await rude.ask('GET_FEATURES');
    const gone = hostile.lab.next('disconnect', ATTACKER);
    rude.sendRaw(writeMessage(FrontendRequest[request], 0, payload()), sent);
    await rude.closed;
    await gone;
    for (const fd of sent) closeSync(fd);
  }

  for (const socketCase of SOCKET_CASES) {
    it(socketCase.title, async () => {
      await hostile.withBystanders(() => expectRefusal(socketCase));
    });
  }

  const MENDED = {
    SET_VRING_NUM: writeVringState(0, 256),
    SET_VRING_BASE: writeVringState(0, 0),
    SET_VRING_ADDR: writeVringAddress({
      ...{ index: 0, flags: 0, descriptors: 0x1000n, avail: 0x2000n, used: 0x3000n, log: 0n },
    }),
  };

  /** The request is accepted, its ring is set aside with a reason, and can be corrected. */
  async function expectSetAside({ request, payload, says }: SocketCase): Promise<void> {
    const { lab } = hostile;
    const before = lab.stats(ATTACKER).rx;
    const frontEnd = connect();
    // Without acknowledgements, a refusal would end the connection.
    await negotiate(frontEnd, MODERN_FEATURES, []);
    const error = createEventFd();
    frontEnd.sendRaw(writeMessage(FrontendRequest.SET_VRING_ERR, 0, writeU64(0n)), [error]);
    frontEnd.sendRaw(writeMessage(FrontendRequest[request], 0, payload()));
    await frontEnd.ask('GET_FEATURES');
    const { state, rings, lastFault } = lab.nic.vf('vf0');
    expect(state).toBe('faulted');
    expect(lastFault).toMatch(says);
    expect(rings).toMatchObject([{ queue: 0, state: 'faulted', fault: lastFault }]);
    await expect.poll(() => isRaised(error)).toBe(true);
    const { faults, faultReasons } = lab.stats(ATTACKER).rx;
    expect(faults - before.faults).toBe(1);
    expect((faultReasons.setup ?? 0) - (before.faultReasons.setup ?? 0)).toBe(1);
    const mended = MENDED[request as keyof typeof MENDED];
    frontEnd.sendRaw(writeMessage(FrontendRequest[request], 0, mended));
    await frontEnd.ask('GET_FEATURES');
    expect(lab.nic.vf('vf0')).toMatchObject({ state: 'connected', rings: [] });
    await disconnect(frontEnd);
    closeSync(error);
  }

  for (const wrong of WRONG_RINGS) {
    it(`${wrong.title}: that ring is set aside, and can be corrected`, async () => {
      await hostile.withBystanders(() => expectSetAside(wrong));
    });
  }

  /** Bytes after which the NIC closes the connection. */
  async function expectClosed(bytes: Uint8Array, fds: number[] = []): Promise<void> {
    const frontEnd = connect();
    await frontEnd.ask('GET_FEATURES');
    const gone = hostile.lab.next('disconnect', ATTACKER);
    frontEnd.sendRaw(bytes, fds);
    await frontEnd.closed;
    await gone;
  }

  function header(request: number, flags: number, size: number): Uint8Array {
    const bytes = new Uint8Array(HEADER_SIZE);
    viewOf(bytes).setUint32(0, request, true);
    viewOf(bytes).setUint32(4, flags, true);
    viewOf(bytes).setUint32(8, size, true);
    return bytes;
  }

  for (const [title, bytes] of [
    ['a size of 2^32 − 1', header(FrontendRequest.GET_FEATURES, 1, 0xffff_ffff)],
    ['a size of 4097', header(FrontendRequest.SET_MEM_TABLE, 1, 4097)],
    ['version 0', header(FrontendRequest.GET_FEATURES, 0, 0)],
    ['version 2', header(FrontendRequest.GET_FEATURES, 2, 0)],
    ['version 3', header(FrontendRequest.GET_FEATURES, 3, 0)],
    ['the reply flag set', header(FrontendRequest.GET_FEATURES, 1 | FLAG_REPLY, 0)],
    ['an unknown request', header(4711, 1, 0)],
    ['request 0', header(0, 1, 0)],
    ['request 2^32 − 1', header(0xffff_ffff, 1, 0)],
  ] as const) {
    it(`${title}: the connection is closed`, async () => {
      await hostile.withBystanders(() => expectClosed(bytes));
    });
  }

  it('descriptors with half a header: they are closed with the connection', async () => {
    await hostile.withBystanders(async () => {
      const fds = Array.from({ length: 20 }, createEventFd);
      const frontEnd = connect();
      await frontEnd.ask('GET_FEATURES');
      frontEnd.sendRaw(header(1, 1, 0).subarray(0, 5), fds);
      for (const fd of fds) closeSync(fd);
      await disconnect(frontEnd);
    });
  });

  it('half a header, then silence: closed after a while, then the next front-end is served', async () => {
    await hostile.withBystanders(async () => {
      const begun = header(1, 1, 0).subarray(0, 6);
      await hastened(MESSAGE_TIMEOUT_MS, () => expectClosed(begun));
      expect(hostile.lab.nic.vf('vf0').lastFault).toMatch(/unfinished/);
      const next = connect();
      await next.ask('GET_FEATURES');
      await disconnect(next);
    });
  });

  it('one byte at a time: still answered', async () => {
    await hostile.withBystanders(async () => {
      const frontEnd = connect();
      const message = writeMessage(FrontendRequest.SET_VRING_NUM, 0, writeVringState(0, 64));
      for (const bytes of [message, writeMessage(FrontendRequest.GET_FEATURES, 0, NOTHING)]) {
        const answer = bytes.length === HEADER_SIZE ? frontEnd.nextMessage() : null;
        for (let i = 0; i < bytes.length; i++) {
          frontEnd.sendRaw(bytes.subarray(i, i + 1));
          await new Promise(setImmediate);
        }
        if (answer !== null) expect(readU64((await answer).subarray(HEADER_SIZE))).not.toBe(0n);
      }
      await disconnect(frontEnd);
    });
  });

  it('a thousand messages in one write', async () => {
    await hostile.withBystanders(async () => {
      const frontEnd = connect();
      const message = writeMessage(FrontendRequest.SET_VRING_NUM, 0, writeVringState(0, 64));
      frontEnd.sendRaw(Buffer.concat(Array.from({ length: 1000 }, () => message)));
      await frontEnd.ask('GET_FEATURES');
      await disconnect(frontEnd);
    });
  });

  it('endless requests whose replies are never read: closed, and memory does not grow', async () => {
    await hostile.withBystanders(async () => {
      const frontEnd = connect();
      await frontEnd.ask('GET_FEATURES');
      const gone = hostile.lab.next('disconnect', ATTACKER);
      frontEnd.stopReading();
      const many = writeMessage(FrontendRequest.GET_FEATURES, 0, NOTHING);
      const burst = Buffer.concat(Array.from({ length: 1000 }, () => many));
      for (let i = 0; i < 100; i++) frontEnd.sendRaw(burst);
      await gone;
      frontEnd.close();
    });
  });

  it('a second front-end during the first one’s session: rejected', async () => {
    await hostile.withBystanders(async () => {
      const first = connect();
      await first.ask('GET_FEATURES');
      const second = connect();
      await second.closed;
      await first.ask('GET_FEATURES');
      await disconnect(first);
    });
  });

  it('QEMU f47af0af0d: enabling and stopping a queue that was never set up', async () => {
    await hostile.withBystanders(async () => {
      const frontEnd = connect();
      await negotiate(frontEnd, MODERN_FEATURES);
      await frontEnd.send('SET_VRING_ENABLE', writeVringState(1, 1));
      await frontEnd.send('SET_VRING_ENABLE', writeVringState(1, 0));
      await frontEnd.ask('GET_VRING_BASE', writeVringState(1, 0));
      await disconnect(frontEnd);
    });
  });

  it('CVE-2019-14818: SET_VRING_NUM ten thousand times', async () => {
    await hostile.withBystanders(async () => {
      const frontEnd = connect();
      for (let i = 0; i < 10_000; i++) {
        const payload = writeVringState(0, 2 ** (i % 16));
        frontEnd.sendRaw(writeMessage(FrontendRequest.SET_VRING_NUM, 0, payload));
        if (i % 100 === 99) await frontEnd.ask('GET_FEATURES');
      }
      await disconnect(frontEnd);
    });
  });

  for (const [offset, size] of [
    [0xffff_ffff, 1],
    [1, 0xffff_ffff],
    [250, 7],
    [0, 257],
  ] as const) {
    it(`GET_CONFIG of ${size} bytes from ${offset}`, async () => {
      await hostile.withBystanders(async () => {
        const payload = new Uint8Array(12);
        viewOf(payload).setUint32(0, offset, true);
        viewOf(payload).setUint32(4, size, true);
        const frontEnd = connect();
        await negotiate(frontEnd, MODERN_FEATURES);
        const request = FrontendRequest.GET_CONFIG;
        const answer = frontEnd.nextMessage();
        frontEnd.sendRaw(writeMessage(request, FLAG_NEED_REPLY, payload));
        expect(readU64((await answer).subarray(HEADER_SIZE))).not.toBe(0n);
        await disconnect(frontEnd);
      });
    });
  }

  it('DPDK 218daf1664: truncated descriptors (MSG_CTRUNC): all closed, and the connection too', async () => {
    const frontEnd = connect();
    await frontEnd.ask('GET_FEATURES');
    const fds = Array.from({ length: 8 }, createEventFd);
    const before = openFdCount();
    // No room for another descriptor while the helper waits.
    const limit = `prlimit --pid ${process.pid} --nofile`;
    const script = `old=$(${limit} --noheadings --output SOFT); read a; ${limit}=$1: && echo low; read b; ${limit}=$old:`;
    const helper = spawn('sh', ['-c', script, 'sh', String(before + 3 + 2)]);
    helper.stdin.write('go\n');
    await once(helper.stdout, 'data');
    const gone = hostile.lab.next('disconnect', ATTACKER);
    const message = writeMessage(FrontendRequest.SET_VRING_KICK, 0, writeU64(0n));
    frontEnd.sendRaw(message, fds);
    await frontEnd.closed;
    await gone;
    expect(hostile.lab.nic.vf('vf0').lastFault).toMatch(/cut off/);
    helper.stdin.end('go\n');
    await once(helper, 'close');
    for (const fd of fds) closeSync(fd);
    expect(openFdCount()).toBe(before - fds.length - 2);
    await hostile.withBystanders(() => Promise.resolve());
  });
});

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VIRTIO_F_VERSION_1 } from '../../layout/virtio.ts';
import { F_SETFL, O_NONBLOCK } from '../../src/os/constants.ts';
import { createEventFd } from '../../src/os/event-fd.ts';
import { c } from '../../src/os/libc.ts';
import { scratch } from '../../src/os/scratch.ts';
import { createSocketPair } from '../../src/os/unix-socket.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import { writeU64 } from '../../src/vhost-user/message.ts';
import { createPipe } from '../support/pipe.ts';
import { ATTACKER, HostileLab, TARGET } from './hostile-lab.ts';

// O_NONBLOCK belongs to the open file, which a front-end shares with the NIC: it may clear the flag
// at any time, and fill the file. A write to it would then block for ever.

const QUEUE = 1;

/** The first descriptor is the one that the NIC writes to. */
const KINDS: Record<string, () => number[]> = {
  eventfd: () => [createEventFd()],
  socket: createSocketPair,
  pipe: () => createPipe().reverse(),
};

let hostile: HostileLab;
let fds: number[] = [];

afterEach(async () => {
  await hostile.close();
  for (const fd of fds.splice(0)) c.close(fd);
});

/** Hands a descriptor over, then makes writes to it block. */
async function handOver(
  guest: MockGuest,
  request: 'SET_VRING_CALL' | 'SET_VRING_ERR',
  kind: string,
): Promise<void> {
  fds = KINDS[kind]?.() ?? [];
  const [fd = -1] = fds;
  await guest.frontEnd.send(request, writeU64(BigInt(QUEUE)), [fd]);
  c.fcntl(fd, F_SETFL, O_NONBLOCK);
  scratch.view.setBigUint64(0, 0xffff_ffff_ffff_fffen, true);
  const write = () => c.write(fd, scratch.address, 8);
  if (kind === 'eventfd') {
    c.read(fd, scratch.address + 8, 8);
    expect(write()).toBe(8);
  } else while (write() > 0);
  expect(write(), 'it is full').toBe(-1);
  c.fcntl(fd, F_SETFL, 0);
}

describe.each(Object.keys(KINDS))('a front-end that blocks and fills its %s', (kind) => {
  beforeEach(async () => {
    // Pipes are accepted only from trusted VMMs.
    hostile = await HostileLab.start({ vf: { allowUnsealedMemory: true } });
  });

  it('for interrupts stops no guest, not even its own', async () => {
    const { lab, target } = hostile;
    await hostile.withBystanders(async () => {
      // No event index: an interrupt for each frame.
      const guest = await hostile.attack({ isRaw: false, features: [VIRTIO_F_VERSION_1] });
      await handOver(guest, 'SET_VRING_CALL', kind);
      for (let count = 0; count < 5; count++) {
        const frame = plainFrame({ to: lab.mac(TARGET), from: lab.mac(ATTACKER) }, 100, count);
        guest.send(frame);
        expect(Buffer.from(await target.nextFrame()).equals(frame)).toBe(true);
      }
      for (const fd of fds.splice(0)) c.close(fd);
      await lab.disconnect(ATTACKER, guest);
    });
  });

  it('for errors does not stop the control plane', async () => {
    const { lab } = hostile;
    await hostile.withBystanders(async () => {
      const guest = await hostile.attack();
      await handOver(guest, 'SET_VRING_ERR', kind);
      const fault = lab.next('fault', ATTACKER);
      const ring = guest.queues.ring(QUEUE);
      ring.offerRaw(0, 1000); // the index is ahead of the ring
      ring.publish();
      guest.kick(QUEUE);
      await fault;
      for (const fd of fds.splice(0)) c.close(fd);
      await lab.disconnect(ATTACKER, guest);
    });
  });
});

it('a pipe is refused with a hint if its owner is not trusted', async () => {
  hostile = await HostileLab.start();
  const guest = await hostile.attack();
  fds = createPipe();
  const send = guest.frontEnd.send('SET_VRING_CALL', writeU64(1n), [fds[1] ?? -1]);
  await expect(send).rejects.toThrow('refused SET_VRING_CALL');
  expect(hostile.lab.nic.vf('vf0').lastFault).toContain('allowUnsealedMemory: true');
});

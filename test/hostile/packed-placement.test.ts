import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VIRTIO_F_RING_PACKED, VIRTIO_F_VERSION_1 } from '../../layout/virtio.ts';
import { PACKED_WRAP } from '../../layout/virtqueue.ts';
import { createEventFd, raiseEventFd } from '../../src/os/event-fd.ts';
import { c } from '../../src/os/libc.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import { RequestRefused } from '../../src/testing/front-end.ts';
import { enableRing, maskOf } from '../../src/testing/handshake.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import { Random } from '../../src/testing/random.ts';
import { writeU64, writeVringAddress, writeVringState } from '../../src/vhost-user/message.ts';
import { ATTACKER, HostileLab, TARGET } from './hostile-lab.ts';

const SIZE = 250;
const START = PACKED_WRAP;
const PACKED = maskOf([VIRTIO_F_VERSION_1, VIRTIO_F_RING_PACKED, 30]);
const SPLIT = maskOf([VIRTIO_F_VERSION_1, 30]);

type Step = readonly ['NUM' | 'BASE', number] | readonly ['FEATURES', bigint] | 'ADDR' | 'KICK';

// A front-end that sets packed rings up with arbitrary values, in arbitrary order.
describe('a front-end that places packed rings', () => {
  let hostile: HostileLab;

  beforeAll(async () => {
    hostile = await HostileLab.start();
  });

  afterAll(async () => {
    await hostile.close();
  });

  async function withoutRings(use: (guest: MockGuest) => Promise<void>): Promise<void> {
    await hostile.withBystanders(async () => {
      const features = [VIRTIO_F_VERSION_1];
      const guest = await hostile.attack({ queues: [], packed: true, features });
      try {
        await use(guest);
      } finally {
        await hostile.lab.disconnect(ATTACKER, guest);
      }
    });
  }

  function userAddress(guest: MockGuest): number {
    return guest.queues.memory.regions[0]?.userAddress ?? 0;
  }

  function sendAddresses(guest: MockGuest, parts: readonly number[]) {
    const base = userAddress(guest);
    const [descriptors = 0n, avail = 0n, used = 0n] = parts.map((at) => BigInt(base + at));
    const payload = writeVringAddress({ index: 1, flags: 0, descriptors, avail, used, log: 0n });
    return guest.frontEnd.send('SET_VRING_ADDR', payload);
  }

  async function sendKick(guest: MockGuest): Promise<void> {
    const kick = createEventFd();
    try {
      raiseEventFd(kick);
      await guest.frontEnd.send('SET_VRING_KICK', writeU64(1n), [kick]);
      await enableRing(guest.frontEnd, 1, true);
    } finally {
      c.close(kick);
    }
  }

  async function take(guest: MockGuest, step: Step): Promise<void> {
    const { frontEnd } = guest;
    if (step === 'ADDR') await sendAddresses(guest, [0, 0x2000, 0x3000]);
    else if (step === 'KICK') await sendKick(guest);
    else if (step[0] === 'FEATURES') await frontEnd.send('SET_FEATURES', writeU64(step[1]));
    else await frontEnd.send(`SET_VRING_${step[0]}`, writeVringState(1, step[1]));
  }

  /** The ring does not run, for the given reason; its front-end stays connected. */
  function expectSetAside(fault: RegExp): void {
    const { rings } = hostile.lab.nic.vf('vf0');
    const reason = expect.stringMatching(fault);
    expect(rings).toMatchObject([{ queue: 1, state: 'faulted', fault: reason }]);
  }

  const SIZE_FAULT = /queue size \d+ is not/;
  const BASE_FAULT = /ring base \d+ is no place/;

  const SET_ASIDE: readonly (readonly [string, RegExp, readonly Step[]])[] = [
    ['no descriptors', SIZE_FAULT, [['NUM', 0]]],
    ['32769 descriptors', SIZE_FAULT, [['NUM', 32769]]],
    ['65536 descriptors', SIZE_FAULT, [['NUM', 65536]]],
    [
      'a base just beyond the ring',
      BASE_FAULT,
      [
        ['NUM', SIZE],
        ['BASE', SIZE | START],
      ],
    ],
    [
      'a base far beyond the ring',
      BASE_FAULT,
      [
        ['NUM', SIZE],
        ['BASE', 0x7fff],
      ],
    ],
    [
      'a base before the size',
      BASE_FAULT,
      [['BASE', 0x7fff | START], ['NUM', SIZE], 'ADDR', 'KICK'],
    ],
    [
      'a base that is valid for a larger ring',
      BASE_FAULT,
      [['NUM', 32768], ['BASE', 32767 | START], ['NUM', SIZE], 'ADDR', 'KICK'],
    ],
    [
      'a base of a split ring',
      BASE_FAULT,
      [['FEATURES', SPLIT], ['NUM', 256], ['BASE', 0xfff0], ['FEATURES', PACKED], 'ADDR', 'KICK'],
    ],
    [
      'a size that is invalid for split rings',
      SIZE_FAULT,
      [['NUM', SIZE], ['BASE', START], ['FEATURES', SPLIT], 'ADDR', 'KICK'],
    ],
  ];

  for (const [title, fault, steps] of SET_ASIDE) {
    it(`${title}: set aside until it is corrected`, async () => {
      await withoutRings(async (guest) => {
        for (const step of steps) await take(guest, step);
        expectSetAside(fault);
        for (const step of [
          ['FEATURES', PACKED],
          ['NUM', SIZE],
          ['BASE', START],
        ] as const) {
          await take(guest, step);
        }
        await take(guest, 'ADDR');
        await take(guest, 'KICK');
        const { rings } = hostile.lab.nic.vf('vf0');
        expect(rings).toMatchObject([{ queue: 1, state: 'enabled', size: SIZE }]);
      });
    });
  }

  for (const [title, parts] of [
    ['descriptors', [8, 0x2000, 0x3000]],
    ['a driver area', [0, 0x2002, 0x3000]],
    ['a device area', [0, 0x2000, 0x3002]],
  ] as const) {
    it(`${title} out of alignment: set aside`, async () => {
      await withoutRings(async (guest) => {
        await take(guest, ['NUM', SIZE]);
        await sendAddresses(guest, parts);
        await take(guest, 'KICK');
        expectSetAside(/not aligned/);
      });
    });
  }

  for (const [title, shift] of [
    ['in an unmapped hole', 0x4000_0000],
    ['after the end of a memory region', 0x1000000],
  ] as const) {
    it(`event areas ${title}: refused`, async () => {
      await withoutRings(async (guest) => {
        for (const parts of [
          [0, shift, 0x3000],
          [0, 0x2000, shift],
        ] as const) {
          await take(guest, ['NUM', SIZE]);
          await take(guest, ['BASE', START]);
          await sendAddresses(guest, parts);
          await expect(take(guest, 'KICK')).rejects.toThrow(RequestRefused);
          await guest.frontEnd.send('RESET_DEVICE');
        }
      });
    });
  }

  it('the last four bytes of a region are enough for an event area', async () => {
    await withoutRings(async (guest) => {
      await take(guest, ['NUM', SIZE]);
      await take(guest, ['BASE', START]);
      await sendAddresses(guest, [0, 0x1000000 - 4, 0x3000]);
      await take(guest, 'KICK');
    });
  });

  it('descriptors, driver area and device area overlap, filled at random', async () => {
    await withoutRings(async (guest) => {
      const { memory } = guest.queues;
      const { offset } = memory.spanAt(memory.regions[0]?.guestAddress ?? 0, 65536);
      const random = new Random(5);
      for (let round = 0; round < 40; round++) {
        for (let i = 0; i < 4096; i += 4) memory.view.setUint32(offset + i, random.next(), true);
        await take(guest, ['NUM', random.between(1, SIZE)]);
        await take(guest, ['BASE', START]);
        // The areas overlap flags, lengths and ids of descriptors, so the NIC's own event
        // suppression overwrites them.
        const [driver, device] = [random.below(64) * 4, random.below(64) * 4];
        await sendAddresses(guest, [0, driver, device]);
        await take(guest, 'KICK');
        await guest.frontEnd.ask('GET_VRING_BASE', writeVringState(1, 0));
      }
    });
  });

  it('a ring as its own buffer: frames written over descriptors and event areas', async () => {
    await hostile.withBystanders(async () => {
      const { lab, target } = hostile;
      const features = [VIRTIO_F_VERSION_1];
      const guest = await hostile.attack({ packed: true, queueSize: SIZE, features });
      const ring = guest.queues.packedRing(0);
      for (const part of [ring.used, ring.avail, ring.descriptors]) {
        const fields = { address: BigInt(part.address), length: 1600, flags: 2, id: 3 };
        for (let i = 0; i < 8; i++) ring.offerRaw(fields);
      }
      for (let i = 0; i < 40; i++) {
        target.send(plainFrame({ to: lab.mac(ATTACKER), from: lab.mac(TARGET) }, 500, i));
        await target.waitTransmitted();
      }
      await lab.disconnect(ATTACKER, guest);
      await lab.connect(ATTACKER).then((next) => lab.disconnect(ATTACKER, next));
    });
  });
});

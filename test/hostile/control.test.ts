import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  CONTROL_MAC,
  CONTROL_MAC_TABLE_SET,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_VERSION_1,
} from '../../layout/virtio.ts';
import {
  DESCRIPTOR_F_INDIRECT,
  DESCRIPTOR_F_NEXT,
  DESCRIPTOR_F_WRITE,
} from '../../layout/virtqueue.ts';
import type { Span } from '../../src/testing/guest-memory.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import type { PackedQueue } from '../../src/testing/packed-queue.ts';
import type { SplitQueue } from '../../src/testing/split-queue.ts';
import { CONTROL_FEATURES, ERROR, OK, setPromiscuous } from '../support/control-commands.ts';
import { ATTACKER, HostileLab } from './hostile-lab.ts';

const NEXT = DESCRIPTOR_F_NEXT;
const WRITE = DESCRIPTOR_F_WRITE;
const INDIRECT = DESCRIPTOR_F_INDIRECT;
const NOWHERE = 0xffff_ffff_f000n;
const FEATURES = [VIRTIO_F_VERSION_1, VIRTIO_F_INDIRECT_DESC, ...CONTROL_FEATURES];

/** Guest memory for one attack: a valid command, room for its ack, a table. */
interface Room {
  command: Span;
  ack: Span;
  table: Span;
}

interface Piece {
  address: bigint;
  length: number;
  flags: number;
  next?: number;
}

interface Case {
  name: string;
  chain: (room: Room) => Piece[];
  /** The drop that is counted, if the chain cannot be read or answered. */
  drop?: string;
  /** The ack that is written; omitted: none. */
  ack?: number;
}

function at(span: Span): bigint {
  return BigInt(span.address);
}

const CASES: readonly Case[] = [
  {
    name: 'CVE-2014-0150: has a table of more addresses than bytes',
    chain: ({ table, ack }) => [
      { address: at(table), length: 10, flags: NEXT, next: 1 },
      { address: at(ack), length: 1, flags: WRITE },
    ],
    ack: ERROR,
  },
  {
    name: 'is empty',
    chain: ({ ack }) => [{ address: at(ack), length: 1, flags: WRITE }],
    ack: ERROR,
  },
  {
    name: 'leaves no room for the ack',
    chain: ({ command }) => [{ address: at(command), length: 3, flags: 0 }],
  },
  {
    name: 'is larger than any known command',
    chain: ({ command, ack }) => [
      { address: at(command), length: 4097, flags: NEXT, next: 1 },
      { address: at(ack), length: 1, flags: WRITE },
    ],
    ack: ERROR,
  },
  {
    name: 'has a readable descriptor after a writable one',
    chain: ({ command, ack }) => [
      { address: at(ack), length: 1, flags: WRITE | NEXT, next: 1 },
      { address: at(command), length: 3, flags: 0 },
    ],
    drop: 'bufferDirection',
  },
  {
    name: 'is outside guest memory',
    chain: ({ ack }) => [
      { address: NOWHERE, length: 3, flags: NEXT, next: 1 },
      { address: at(ack), length: 1, flags: WRITE },
    ],
    drop: 'bufferAddress',
  },
  {
    name: 'has its ack outside guest memory',
    chain: ({ command }) => [
      { address: at(command), length: 3, flags: NEXT, next: 1 },
      { address: NOWHERE, length: 1, flags: WRITE },
    ],
    drop: 'bufferAddress',
  },
  {
    name: 'has an indirect table of half a descriptor',
    chain: ({ table }) => [{ address: at(table), length: 8, flags: INDIRECT }],
    drop: 'indirectTable',
  },
  {
    name: 'has more descriptors than a command can have',
    chain: ({ command, ack }) => [
      ...Array.from({ length: 80 }, (_, index) => ({
        address: at(command),
        length: 0,
        flags: NEXT,
        next: index + 1,
      })),
      { address: at(ack), length: 1, flags: WRITE },
    ],
    drop: 'chainLength',
  },
];

const SPLIT_CASES: readonly Case[] = [
  {
    name: 'is a cycle',
    chain: ({ command }) => [
      { address: at(command), length: 1, flags: NEXT, next: 1 },
      { address: at(command), length: 1, flags: NEXT, next: 0 },
    ],
    drop: 'chainLength',
  },
  {
    name: 'names a descriptor beyond the table',
    chain: ({ command }) => [{ address: at(command), length: 3, flags: NEXT, next: 256 }],
    drop: 'chainNext',
  },
];

let hostile: HostileLab;

beforeEach(async () => {
  hostile = await HostileLab.start();
});

afterEach(() => hostile.close());

function roomIn(guest: MockGuest): Room {
  const { memory } = guest.queues;
  const command = memory.allocate(8192);
  memory.bytes.set(setPromiscuous(1), command.offset);
  const ack = memory.allocate(1);
  memory.bytes[ack.offset] = 0x77;
  const table = memory.allocate(64, 16);
  memory.bytes.set([CONTROL_MAC, CONTROL_MAC_TABLE_SET, 255, 255, 255, 255], table.offset);
  return { command, ack, table };
}

/** Offers a chain unchanged, and waits until it has come back. */
async function offer(guest: MockGuest, chain: readonly Piece[], packed: boolean): Promise<void> {
  const number = guest.queues.controlNumber;
  if (packed) {
    const ring = guest.queues.packedRing(number);
    const place = ring.nextAvail;
    ring.offerRaw(...chain.map((piece) => ({ ...piece, id: 5 })));
    guest.kick(number);
    await guest.waitUsedAt(number, place);
    ring.lastUsed = ring.nextAvail;
    return;
  }
  const ring = guest.queues.ring(number);
  for (const [index, piece] of chain.entries()) ring.writeDescriptor(index, piece);
  ring.offerRaw(0);
  ring.publish();
  guest.kick(number);
  await guest.waitUsed(number, ring.availIndex);
}

describe.each([false, true])('a hostile control queue, packed: %s', (packed) => {
  for (const { name, chain, drop, ack } of packed ? CASES : [...CASES, ...SPLIT_CASES]) {
    it(`whose command ${name}`, async () => {
      const guest = await hostile.attack({ features: FEATURES, packed });
      const room = roomIn(guest);
      const { bytes } = guest.queues.memory;
      await hostile.withBystanders(async () => {
        await offer(guest, chain(room), packed);
        expect(bytes[room.ack.offset]).toBe(ack ?? 0x77);
        const drops = drop === undefined ? {} : { [drop]: 1 };
        const control = hostile.lab.stats(ATTACKER).control;
        expect(control).toMatchObject({ commands: 1, faults: 0, drops });
        // The next command, which is valid, is executed.
        const good = [
          { address: at(room.command), length: 3, flags: NEXT, next: 1 },
          { address: at(room.ack), length: 1, flags: WRITE },
        ];
        await offer(guest, good, packed);
        expect(bytes[room.ack.offset]).toBe(OK);
      });
    });
  }

  it('that breaks its ring loses only that ring', async () => {
    const guest = await hostile.attack({ features: FEATURES, packed });
    const number = guest.queues.controlNumber;
    await hostile.withBystanders(async () => {
      const fault = hostile.lab.next('fault', ATTACKER);
      breakRing(guest.queues.queue(number), packed);
      guest.kick(number);
      await fault;
      expect(hostile.lab.stats(ATTACKER).control).toMatchObject({ commands: 0, faults: 1 });
      const rings = hostile.lab.nic.vf(`vf${ATTACKER}`).rings;
      expect(rings.map(({ state }) => state)).toEqual(['enabled', 'enabled', 'faulted']);
    });
  });

  it('that sends commands without end is answered, but not at the expense of others', async () => {
    const guest = await hostile.lab.connect(ATTACKER, { features: FEATURES, packed });
    await hostile.withBystanders(async () => {
      const started = performance.now();
      for (let round = 0; round < 10; round++) {
        const asked = Array.from({ length: 30 }, () => guest.command(setPromiscuous(round % 2)));
        for (const { ack } of await Promise.all(asked)) expect(ack).toBe(OK);
      }
      // 300 commands at 100 in each 100 ms: the third hundred waits for the third period.
      expect(performance.now() - started).toBeGreaterThan(150);
    });
  });
});

function breakRing(ring: unknown, packed: boolean): void {
  if (packed) {
    // An endless chain through the whole ring.
    const queue = ring as PackedQueue;
    const endless = { address: 0x1000n, length: 1, flags: NEXT, id: 0 };
    queue.offerRaw(...Array.from({ length: queue.size }, () => endless));
    return;
  }
  const queue = ring as SplitQueue;
  queue.offerRaw(0, queue.size + 1);
  queue.publish();
}

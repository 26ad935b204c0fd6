import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ANSWER_SIZE_MAX, REQUEST_SIZE_MAX } from '../../layout/limits.ts';
import { DESCRIPTOR_F_NEXT } from '../../layout/virtqueue.ts';
import { TRAPS_MAX } from '../../src/functions/quarantine.ts';
import type { FunctionEvent, FunctionInfo } from '../../src/functions/types.ts';
import { PackedQueue } from '../../src/testing/packed-queue.ts';
import { SplitQueue } from '../../src/testing/split-queue.ts';
import { exchange } from '../support/exchange.ts';
import { type Piece, RngGuest } from '../support/rng-guest.ts';
import { TestNic } from '../support/test-nic.ts';

const NOWHERE = 0xffff_ffff_f000;
const FORMATS = [
  { title: 'split', packed: false },
  { title: 'packed', packed: true },
] as const;

let lab: TestNic;
let guests: RngGuest[] = [];

beforeEach(async () => {
  lab = await TestNic.start({ rngs: 2 });
});

afterEach(async () => {
  for (const guest of guests) guest.close();
  guests = [];
  await lab.finish();
});

async function connect(number: number, packed = false): Promise<RngGuest> {
  const guest = await RngGuest.connect(lab.rngSocket(number), { packed });
  guests.push(guest);
  return guest;
}

function info(name = 'rng0'): FunctionInfo {
  const found = lab.nic.functions().find((one) => one.name === name);
  if (found === undefined) throw new Error(`assertion: no function ${name}`);
  return found;
}

/** Resolves at the next event of this kind for a function. */
function next(what: FunctionEvent['what'], name = 'rng0'): Promise<FunctionEvent> {
  return new Promise((resolve) => {
    const listener = (event: FunctionEvent): void => {
      if (event.function !== name || event.what !== what) return;
      lab.nic.off('function', listener);
      resolve(event);
    };
    lab.nic.on('function', listener);
  });
}

function writable(length: number, address?: number): Piece {
  return { length, isWritable: true, ...(address === undefined ? {} : { address }) };
}

function readable(length: number): Piece {
  return { length, isWritable: false };
}

/** Expects two complete answers that look random. */
async function expectRandom(guest: RngGuest): Promise<void> {
  const answers = [await guest.read(ANSWER_SIZE_MAX), await guest.read(ANSWER_SIZE_MAX)];
  for (const bytes of answers) {
    expect(bytes).toHaveLength(ANSWER_SIZE_MAX);
    expect(bytes.some((byte) => byte !== 0)).toBe(true);
  }
  expect(answers[0]).not.toEqual(answers[1]);
}

describe.each(FORMATS)('an entropy device on a $title ring', ({ packed }) => {
  it('fills buffers with random bytes, and interrupts', async () => {
    const guest = await connect(0, packed);
    await expectRandom(guest);
    for (const length of [1, 7, ANSWER_SIZE_MAX, ANSWER_SIZE_MAX + 1, 4096]) {
      expect(await guest.read(length)).toHaveLength(Math.min(length, ANSWER_SIZE_MAX));
    }
    expect(guest.calls).toBeGreaterThan(0);
    expect(info()).toMatchObject({
      kind: 'rng',
      state: 'ready',
      rings: [{ queue: 0, direction: 'request', state: 'enabled', size: 64 }],
      counters: { commands: 7, refused: 0, faults: 0, drops: {} },
    });
    expect(info().features.includes('RING_PACKED')).toBe(packed);
  });

  it('fills chains of several buffers, direct or indirect', async () => {
    const guest = await connect(0, packed);
    for (const isIndirect of [false, true]) {
      const bytes = await guest.offer([writable(5), writable(1), writable(40)], isIndirect);
      expect(bytes).toHaveLength(ANSWER_SIZE_MAX);
    }
  });

  it('answers many requests in order', async () => {
    const guest = await connect(0, packed);
    const answers = await Promise.all(Array.from({ length: 60 }, () => guest.read(16)));
    expect(new Set(answers.map(String)).size).toBe(60);
  });

  it.each([
    ['is readable', [readable(8)], {}, 1],
    ['follows a readable one', [readable(8), writable(16)], {}, 1],
    ['follows one that is too long', [readable(REQUEST_SIZE_MAX + 1), writable(16)], {}, 1],
    ['precedes a readable one', [writable(16), readable(8)], { bufferDirection: 1 }, 0],
    ['is outside guest memory', [writable(16, NOWHERE)], { bufferAddress: 1 }, 0],
  ] as const)('returns a buffer that %s, and continues', async (_, chain, drops, refused) => {
    const guest = await connect(0, packed);
    expect(await guest.offer(chain)).toHaveLength(0);
    expect(info().counters).toMatchObject({ commands: 1, refused, drops, faults: 0 });
    await expectRandom(guest);
    expect(info().state).toBe('ready');
  });

  it('loses the ring that it breaks, and no other', async () => {
    const guest = await connect(0, packed);
    const other = await connect(1, !packed);
    const fault = next('fault');
    breakRing(guest);
    guest.kick();
    expect(await fault).toMatchObject({ kind: 'rng', queue: 0 });
    expect(info()).toMatchObject({ state: 'faulted', rings: [{ state: 'faulted' }] });
    expect(info().counters).toMatchObject({ commands: 0, faults: 1 });
    await expectRandom(other);
    await guest.restart();
    await expectRandom(guest);
    expect(info().state).toBe('ready');
  });

  it('continues after another ring made its processor trap', async () => {
    const guest = await connect(0, packed);
    await lab.connect(0);
    await expectRandom(guest);
    const fault = lab.next('fault', 0);
    await lab.nic.injectTrap('vf0', 1);
    (await lab.connect(1)).send(new Uint8Array(60));
    const underWay = Array.from({ length: 8 }, () => guest.read(ANSWER_SIZE_MAX));
    await fault;
    for (const bytes of await Promise.all(underWay)) expect(bytes).toHaveLength(ANSWER_SIZE_MAX);
    await expectRandom(guest);
    expect(lab.nic.stats().processors[0]?.restarts).toBe(1);
  });

  it('is held if its ring makes the firmware trap repeatedly', async () => {
    const guest = await connect(0, packed);
    const other = await connect(1, packed);
    const held = next('quarantine');
    const released = next('quarantine-end');
    for (let traps = 0; traps < TRAPS_MAX; traps++) {
      await expectRandom(guest);
      const fault = next('fault');
      expect(await lab.nic.injectTrap('rng0', 0)).toBe(true);
      guest.read(1).catch(() => undefined);
      guest.kick();
      await fault;
      await guest.restart();
    }
    await held;
    expect(info().state).toBe('faulted');
    await expectRandom(other);
    await released;
    await expectRandom(guest);
  });

  it('serves the next front-end after one has disconnected', async () => {
    const guest = await connect(0, packed);
    await expectRandom(guest);
    const gone = next('disconnect');
    guest.close();
    guests = [];
    await gone;
    expect(info()).toMatchObject({ state: 'down', rings: [] });
    await expectRandom(await connect(0, packed));
  });
});

describe('the entropy devices of a running NIC', () => {
  it('can be added, changed and removed without effect on others', async () => {
    const [first, second] = [await lab.connect(0), await lab.connect(1)];
    const kept = await connect(0);
    const config = lab.nic.config();
    const [rng0, rng1] = config.rngs;
    const added = { name: 'more', socket: join(lab.directory, 'more.sock') };
    await lab.nic.apply({ ...config, rngs: [...config.rngs, added] });
    const guest = await RngGuest.connect(added.socket);
    guests.push(guest);
    await expectRandom(guest);

    const moved = { ...added, socket: join(lab.directory, 'moved.sock') };
    const cut = next('disconnect', 'more');
    await lab.nic.apply({ ...config, rngs: [rng0!, rng1!, moved] });
    await Promise.all([cut, guest.frontEnd.closed]);
    const again = await RngGuest.connect(moved.socket);
    guests.push(again);
    await expectRandom(again);

    await lab.nic.apply({ ...config, rngs: [rng0!] });
    await again.frontEnd.closed;
    expect(lab.nic.functions().map(({ name }) => name)).toEqual(['rng0']);
    await expect(RngGuest.connect(moved.socket)).rejects.toThrow('cannot connect');
    await expectRandom(kept);
    await exchange(lab, [0, first], [1, second], { count: 20 });
  });

  it('leave nothing behind, however often they are added and removed', async () => {
    const config = lab.nic.config();
    const [rng0, rng1] = config.rngs;
    for (let round = 0; round < 2000; round++) {
      await lab.nic.apply({ ...config, rngs: [rng0!] });
      await lab.nic.apply({ ...config, rngs: [rng0!, rng1!] });
    }
    await expectRandom(await connect(1));
    expect(info('rng1').counters).toMatchObject({ commands: 2 });
  });

  it('are not added if their socket cannot be opened, and a change is rolled back', async () => {
    const config = lab.nic.config();
    const [rng0, rng1] = config.rngs;
    const bad = { ...rng1!, socket: lab.directory };
    await expect(lab.nic.apply({ ...config, rngs: [rng0!, bad] })).rejects.toThrow();
    expect(lab.nic.config().rngs).toEqual(config.rngs);
    await expectRandom(await connect(1));
  });
});

function breakRing({ ring }: RngGuest): void {
  if (ring instanceof PackedQueue) {
    // An endless chain through the whole ring.
    const endless = { address: 0x1000n, length: 1, flags: DESCRIPTOR_F_NEXT, id: 0 };
    ring.offerRaw(...Array.from({ length: ring.size }, () => endless));
  } else if (ring instanceof SplitQueue) {
    ring.offerRaw(0, ring.size + 1);
    ring.publish();
  }
}

import { afterEach, describe, expect, it, vi } from 'vitest';
import { VIRTIO_F_RING_RESET } from '../../layout/virtio.ts';
import { BROADCAST, plainFrame } from '../../src/testing/frames.ts';
import { MODERN_FEATURES } from '../../src/testing/guest-queues.ts';
import { addRegion, enableRing, removeRegion } from '../../src/testing/handshake.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import { checkSame, exchange, flowFrames } from '../support/exchange.ts';
import { TestNic } from '../support/test-nic.ts';

const FORMATS = [
  { title: 'split', packed: false },
  { title: 'packed', packed: true },
] as const;

// The life cycle of a ring, the same for both formats. The peer's rings are split.
describe.each(FORMATS)('a $title ring', ({ packed }) => {
  let lab: TestNic | undefined;

  afterEach(async () => {
    await lab?.finish();
    lab = undefined;
  });

  it('drops and counts frames if it is full, and stalls no other ring', async () => {
    lab = await TestNic.start({ vfs: 3 });
    const sender = await lab.connect(0, { packed });
    const stuck = await lab.connect(1, { packed, repost: false, receiveBuffers: 10 });
    const other = await lab.connect(2);
    for (let i = 0; i < 40; i++) {
      sender.send(plainFrame({ to: BROADCAST, from: lab.mac(0) }, 100, i));
      await other.nextFrame();
    }
    await sender.waitTransmitted();
    await stuck.waitReceived(10);
    expect(lab.drops(1)).toEqual({ 'rx.ringFull': 30 });
    expect(lab.drops(2)).toEqual({});
    stuck.post();
    await exchange(lab, [0, sender], [1, stuck], { count: 5 });
  });

  it('accepts frames of many concurrent senders, from two processors', async () => {
    lab = await TestNic.start({ vfs: 5, processors: 2 });
    const room = { queueSize: 1024, slots: 1024, receiveLayout: 'shared' } as const;
    const receiver = await lab.connect(0, { packed, ...room });
    const to = lab.mac(0);
    for (let round = 0; round < 3; round++) {
      const senders: MockGuest[] = [];
      for (const number of [1, 2, 3, 4]) senders.push(await lab.connect(number, { packed }));
      const frames = senders.map((_, index) =>
        flowFrames(to, lab?.mac(index + 1) ?? '', { count: 200, seed: round * 4 + index + 1 }),
      );
      const arrived = receiver.waitReceived(800);
      await Promise.all(senders.map((sender, index) => sender.sendAll(frames[index] ?? [])));
      const received = await arrived;
      frames.forEach((own, index) => {
        checkSame(
          received.filter((frame) => frame[11] === index + 2),
          own,
        );
      });
      for (const [index, sender] of senders.entries()) await lab.disconnect(index + 1, sender);
    }
  });

  it('is drained while it is disabled, if it transmits, and its frames are discarded', async () => {
    lab = await TestNic.start();
    const first = await lab.connect(0, { packed });
    const second = await lab.connect(1);
    await enableRing(first.frontEnd, 1, false);
    for (let i = 0; i < 20; i++) first.send(plainFrame({ to: lab.mac(1), from: lab.mac(0) }, 100));
    await first.waitTransmitted();
    expect(lab.drops(0)).toEqual({ 'tx.queueDisabled': 20 });
    await enableRing(first.frontEnd, 1, true);
    await exchange(lab, [0, first], [1, second], { count: 20 });
  });

  it('receives nothing while it is disabled', async () => {
    lab = await TestNic.start();
    const first = await lab.connect(0, { packed });
    const second = await lab.connect(1);
    await enableRing(second.frontEnd, 0, false);
    first.send(plainFrame({ to: lab.mac(1), from: lab.mac(0) }, 100));
    await first.waitTransmitted();
    expect(lab.drops(0)).toEqual({ 'tx.noDestination': 1 });
    await enableRing(second.frontEnd, 0, true);
    await exchange(lab, [0, first], [1, second], { count: 20 });
  });

  it('continues at its position after GET_VRING_BASE', async () => {
    lab = await TestNic.start();
    const first = await lab.connect(0, { packed, ringBase: 65500 });
    const second = await lab.connect(1);
    for (let round = 0; round < 5; round++) {
      await exchange(lab, [0, first], [1, second], { count: 30, seed: round });
      for (const queue of [0, 1]) {
        const base = await first.stopQueue(queue);
        // For a packed ring: position and wrap counter of both sides.
        expect(base).toBe(first.queues.queue(queue).base);
        await first.startQueue(queue);
      }
    }
  });

  if (packed) {
    it('also starts at the beginning for a front-end that does not know wrap counters', async () => {
      lab = await TestNic.start();
      const first = await lab.connect(0, { packed });
      const second = await lab.connect(1);
      for (const queue of [0, 1]) {
        await first.stopQueue(queue);
        const ring = first.queues.queue(queue);
        ring.reset();
        const base = vi.spyOn(ring, 'base', 'get').mockReturnValue(0);
        await first.startQueue(queue);
        base.mockRestore();
      }
      await exchange(lab, [0, first], [1, second], { count: 30 });
    });

    it('continues in its second lap, which also starts at 0', async () => {
      lab = await TestNic.start();
      const first = await lab.connect(0, { packed, ringBase: 256, queueSize: 256 });
      const second = await lab.connect(1);
      expect(first.queues.queue(0).base).toBe(0);
      await exchange(lab, [0, first], [1, second], { count: 30 });
    });
  }

  // How a back end sees the reset of one virtqueue (2.6.1): stopped, then restarted.
  it('starts over alone, while frames arrive for it and the other ring runs', async () => {
    lab = await TestNic.start({ vf: { enabledFeatures: ['RING_RESET'] } });
    const features = [...MODERN_FEATURES, VIRTIO_F_RING_RESET];
    const first = await lab.connect(0, { packed, features });
    expect(lab.nic.vf('vf0').features).toContain('RING_RESET');
    const second = await lab.connect(1);
    const frames = flowFrames(lab.mac(0), lab.mac(1), { count: 600, lengthMax: 300 });
    const { receive } = first.queues.pair(0);
    for (let round = 0; round < 5; round++) {
      const sent = second.sendAll(frames);
      await first.stopQueue(0);
      receive.ring.reset(0);
      receive.forget();
      await first.startQueue(0);
      await exchangeBack(first, second, round);
      await sent;
      await second.waitTransmitted();
      first.poll();
      first.inbox.drain();
      receive.checkIdleBuffers();
    }
    await exchange(lab, [1, second], [0, first], { count: 20 });
    const { rx } = lab.stats(0);
    expect(rx.faults).toBe(0);
  });

  async function exchangeBack(from: MockGuest, to: MockGuest, seed: number): Promise<void> {
    if (lab === undefined) throw new Error('assertion: no laboratory');
    await exchange(lab, [0, from], [1, to], { count: 20, seed: seed + 1 });
  }

  for (const request of ['RESET_DEVICE', 'SET_STATUS'] as const) {
    it(`starts over after a reset by ${request}: the guest reboots`, async () => {
      lab = await TestNic.start();
      const first = await lab.connect(0, { packed });
      const second = await lab.connect(1);
      for (let round = 0; round < 3; round++) {
        await exchange(lab, [0, first], [1, second], { count: 30, seed: round });
        await exchange(lab, [1, second], [0, first], { count: 30, seed: round });
        const reset = lab.next('reset', 0);
        await first.frontEnd.send(request, new Uint8Array(request === 'SET_STATUS' ? 8 : 0));
        await reset;
        await first.restart();
      }
    });
  }

  it('serves the next front-end after the last one has disconnected', async () => {
    lab = await TestNic.start();
    const second = await lab.connect(1);
    for (let round = 0; round < 5; round++) {
      const first = await lab.connect(0, { packed, seed: round });
      await exchange(lab, [0, first], [1, second], { count: 20, seed: round });
      await exchange(lab, [1, second], [0, first], { count: 20, seed: round });
      await lab.disconnect(0, first);
    }
  });

  it('continues with a guest that outlives the connection', async () => {
    lab = await TestNic.start();
    const second = await lab.connect(1);
    let first = await lab.connect(0, { packed });
    for (let round = 0; round < 5; round++) {
      await exchange(lab, [0, first], [1, second], { count: 30, seed: round });
      await exchange(lab, [1, second], [0, first], { count: 30, seed: round });
      const gone = lab.next('disconnect', 0);
      const orphan = first.orphan();
      await gone;
      first = await lab.adopt(0, orphan);
    }
  });

  it('continues with a guest whose front-end has lost the ring positions', async () => {
    lab = await TestNic.start();
    const second = await lab.connect(1);
    let first = await lab.connect(0, { packed, queueSize: 64 });
    const start = first.queues.queue(0).base;
    for (let round = 0; round < 5; round++) {
      await exchange(lab, [0, first], [1, second], { count: 75, seed: round });
      await exchange(lab, [1, second], [0, first], { count: 75, seed: round });
      const gone = lab.next('disconnect', 0);
      const orphan = first.orphan();
      await gone;
      // Like QEMU after a lost connection: the position at which the rings once started.
      for (const queue of [0, 1]) {
        const { base } = orphan.queues.queue(queue);
        expect(base).not.toBe(start);
        vi.spyOn(orphan.queues.queue(queue), 'base', 'get').mockReturnValue(start);
      }
      first = await lab.adopt(0, orphan);
      vi.restoreAllMocks();
    }
  });

  it('reports a fault if its NIC was killed and its position is unknown', async () => {
    lab = await TestNic.start();
    const second = await lab.connect(1);
    const first = await lab.connect(0, { packed, queueSize: 64 });
    const start = first.queues.queue(0).base;
    await exchange(lab, [0, first], [1, second], { count: 75 });
    await exchange(lab, [1, second], [0, first], { count: 75 });
    const gone = lab.next('disconnect', 0);
    const orphan = first.orphan();
    await gone;
    for (const queue of [0, 1]) {
      const ring = orphan.queues.queue(queue);
      // A NIC that closes leaves this in a packed ring, and one that is killed does not.
      const { memory } = orphan.queues;
      if (packed) memory.view.setUint32(ring.used.offset, 0, true);
      vi.spyOn(ring, 'base', 'get').mockReturnValue(start);
    }
    const again = await lab.adopt(0, orphan);
    vi.restoreAllMocks();
    const { state, rings } = lab.nic.vf('vf0');
    if (packed) {
      expect(state).toBe('faulted');
      expect(rings.map((ring) => ring.fault ?? '')).toEqual([
        expect.stringMatching(/killed.*reset/),
        expect.stringMatching(/killed.*reset/),
      ]);
      expect(lab.stats(0).tx.faultReasons).toEqual({ place: 1 });
      await again.frontEnd.send('RESET_DEVICE');
      await again.restart();
    }
    expect(lab.nic.vf('vf0').state).toBe('ready');
    await exchange(lab, [1, second], [0, again], { count: 20 });
  });

  it('accepts and releases memory while frames move', async () => {
    lab = await TestNic.start();
    const first = await lab.connect(0, { packed, memory: { mappedBytesMax: 0x20000000 } });
    const second = await lab.connect(1);
    let isOver = false;
    const traffic = (async () => {
      for (let seed = 1; !isOver; seed++) {
        await exchange(lab as TestNic, [0, first], [1, second], { count: 50, seed });
      }
    })();
    for (let round = 0; round < 30; round++) await borrow(lab, first, round);
    isOver = true;
    await traffic;
    expect(lab.drops(0)).toEqual({ 'tx.hairpin': 30 });
  });

  /**
   * Adds a region, sends one frame from it (to its own sender, who receives nothing), and removes
   * it.
   */
  async function borrow(over: TestNic, guest: MockGuest, round: number): Promise<void> {
    const { memory } = guest.queues;
    const region = memory.addRegion({ guestAddress: 2 ** 36, sizeBytes: 0x400000 });
    await addRegion(guest.frontEnd, region);
    const span = memory.allocate(2000, 16, region);
    const frame = plainFrame({ to: over.mac(0), from: over.mac(0) }, 64, round);
    memory.bytes.fill(0, span.offset, span.offset + 12);
    memory.bytes.set(frame, span.offset + 12);
    await guest.sendSpan(span, frame.length);
    await removeRegion(guest.frontEnd, region);
    memory.removeRegion(region);
    expect(over.counter(0, 'tx.drops.hairpin')).toBe(round + 1);
  }

  it('uses memory that was added later', async () => {
    lab = await TestNic.start();
    const first = await lab.connect(0, { packed });
    const second = await lab.connect(1);
    const { memory } = first.queues;
    const address = 2 ** 36 + 4096;
    await first.sendSpan({ address, offset: 0, length: 100 }, 64);
    expect(lab.drops(0)).toEqual({ 'tx.bufferAddress': 1 });
    const region = memory.addRegion({ guestAddress: 2 ** 36, sizeBytes: 0x400000 });
    await addRegion(first.frontEnd, region);
    const span = memory.spanAt(address, 100);
    const frame = plainFrame({ to: lab.mac(1), from: lab.mac(0) }, 64);
    memory.bytes.fill(0, span.offset, span.offset + 12);
    memory.bytes.set(frame, span.offset + 12);
    await first.sendSpan(span, 64);
    expect(Buffer.from(await second.nextFrame()).equals(frame)).toBe(true);
  });
});

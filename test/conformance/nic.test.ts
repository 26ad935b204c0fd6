import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { BROADCAST, MULTICAST, plainFrame } from '../../src/testing/frames.ts';
import { FrontEndListener } from '../../src/testing/front-end.ts';
import { MockGuest } from '../../src/testing/mock-guest.ts';
import { checkSame, exchange, flowFrames } from '../support/exchange.ts';
import { TestNic } from '../support/test-nic.ts';

describe('a NIC', () => {
  let lab: TestNic | undefined;

  afterEach(async () => {
    await lab?.finish();
    lab = undefined;
  });

  for (const processors of [1, 2]) {
    it(`floods to all except the sender, with ${processors} processors`, async () => {
      lab = await TestNic.start({ vfs: 4, processors });
      const guests: MockGuest[] = [];
      for (let number = 0; number < 4; number++) guests.push(await lab.connect(number));
      for (const to of [BROADCAST, MULTICAST, '02:aa:bb:cc:dd:ee']) {
        for (const [from, sender] of guests.entries()) {
          const frame = plainFrame({ to, from: lab.mac(from) }, 200, from);
          sender.send(frame);
          for (const [number, receiver] of guests.entries()) {
            if (number === from) continue;
            expect(Buffer.from(await receiver.nextFrame()).equals(frame)).toBe(true);
          }
          await sender.waitTransmitted();
        }
      }
      for (const guest of guests) expect(guest.received().length).toBe(0);
      expect(lab.counter(0, 'tx.forwarded')).toBe(3);
      expect(lab.counter(0, 'tx.replicas')).toBe(6);
    });

    it(`moves frames between each two of 6 VFs, with ${processors} processors`, async () => {
      lab = await TestNic.start({ vfs: 6, processors });
      const guests: MockGuest[] = [];
      for (let number = 0; number < 6; number++) guests.push(await lab.connect(number));
      for (const [from, sender] of guests.entries()) {
        for (const [to, receiver] of guests.entries()) {
          if (from === to) continue;
          await exchange(lab, [from, sender], [to, receiver], { count: 50, seed: from * 8 + to });
        }
      }
      for (let number = 0; number < 6; number++) expect(lab.drops(number)).toEqual({});
    });

    it(`serves one receiver from many concurrent senders, with ${processors} processors`, async () => {
      lab = await TestNic.start({ vfs: 5, processors });
      const receiver = await lab.connect(0, {
        queueSize: 1024,
        slots: 1024,
        receiveLayout: 'shared',
      });
      const senders: MockGuest[] = [];
      for (let number = 1; number < 5; number++) senders.push(await lab.connect(number));
      const options = { count: 200, lengthMax: 400 };
      const frames = senders.map((_, index) =>
        flowFrames(macOf(lab, 0), macOf(lab, index + 1), { ...options, seed: index + 1 }),
      );
      const arrived = receiver.waitReceived(800);
      await Promise.all(senders.map((sender, index) => sender.sendAll(frames[index] ?? [])));
      const received = await arrived;
      senders.forEach((_, index) => {
        // Each sender's frames arrive in order, whatever arrives in between.
        const own = received.filter((frame) => frame[11] === index + 2);
        checkSame(own, frames[index] ?? []);
      });
      for (const sender of senders) await sender.waitTransmitted();
    });
  }

  function macOf(over: TestNic | undefined, number: number): string {
    return over?.mac(number) ?? '';
  }

  it.each([4, 16])('spreads flows over %i queue pairs, each flow in order', async (queuePairs) => {
    lab = await TestNic.start({ vf: { queuePairs } });
    const pairs = new Map<number, Set<number>>();
    const sender = await lab.connect(0, { queuePairs, slots: 64 });
    let count = 0;
    let wanted = 0;
    let done = (): void => {};
    const next = new Map<number, number>();
    const receiver = await lab.connect(1, {
      queuePairs,
      slots: 64,
      onFrame: (frame, pair) => {
        const view = new DataView(frame.buffer, frame.byteOffset);
        const flow = view.getUint32(42);
        expect(view.getUint32(46)).toBe(next.get(flow) ?? 0);
        next.set(flow, view.getUint32(46) + 1);
        pairs.set(flow, (pairs.get(flow) ?? new Set()).add(pair));
        count += 1;
        if (count === wanted) done();
      },
    });
    for (let flow = 1; flow <= queuePairs * 8; flow++) {
      const frames = flowFrames(lab.mac(1), lab.mac(0), { count: 20, seed: flow });
      // One flow at a time: two thirds of the flows may use one queue, more than its ring holds.
      wanted += frames.length;
      const arrived = new Promise<void>((resolve) => {
        done = resolve;
      });
      await sender.sendAll(frames, 'random', flow % queuePairs);
      await arrived;
    }
    expect(count).toBe(queuePairs * 160);
    receiver.poll();
    for (const used of pairs.values()) expect(used.size).toBe(1);
    expect(new Set([...pairs.values()].map((used) => [...used][0])).size).toBe(queuePairs);
    const queues = lab.stats(1).queues.filter(({ direction }) => direction === 'rx');
    expect(queues.filter(({ packets }) => packets > 0).length).toBe(queuePairs);
  });

  it('carries frames of an MTU of 65535 bytes', async () => {
    lab = await TestNic.start({ vf: { mtu: 65535 } });
    const large = { frameSizeMax: 65549, slots: 16 };
    const first = await lab.connect(0, large);
    const second = await lab.connect(1, large);
    const options = { count: 12, lengthMin: 65500, lengthMax: 65549 };
    await exchange(lab, [0, first], [1, second], options);
    await exchange(lab, [1, second], [0, first], options);
    expect([lab.drops(0), lab.drops(1)]).toEqual([{}, {}]);
  });

  it('serves guest firmware that uses only queue pair 0 of four', async () => {
    lab = await TestNic.start({ vf: { queuePairs: 4 } });
    const first = await lab.connect(0, { queuePairs: 4, queues: [0, 1] });
    const second = await lab.connect(1, { queuePairs: 4 });
    await exchange(lab, [1, second], [0, first], { count: 40 });
    first.send(plainFrame({ to: lab.mac(1), from: lab.mac(0) }, 300));
    expect((await second.nextFrame()).length).toBe(300);
  });

  it('serves guest firmware that only transmits, and counts what it cannot receive', async () => {
    lab = await TestNic.start();
    const mute = await lab.connect(0, { queues: [1] });
    const other = await lab.connect(1);
    await exchange(lab, [0, mute], [1, other], { count: 40 });
    other.send(plainFrame({ to: lab.mac(0), from: lab.mac(1) }, 100));
    await other.waitTransmitted();
    expect(lab.drops(1)).toEqual({ 'tx.destinationDown': 1 });
  });

  it('connects to a VMM that listens, and reconnects when it restarts', async () => {
    lab = await TestNic.start({ vfs: 1 });
    const path = join(lab.directory, 'vmm.sock');
    let listener = new FrontEndListener(path);
    await lab.nic.addVf({ name: 'vf1', socket: path, mode: 'client', mac: lab.mac(1) });
    const first = await lab.connect(0);
    for (let round = 0; round < 3; round++) {
      const second = await MockGuest.attach(await listener.accept(), { seed: round });
      await exchange(lab, [0, first], [1, second], { count: 20, seed: round });
      await exchange(lab, [1, second], [0, first], { count: 20, seed: round });
      listener.close();
      await lab.disconnect(1, second);
      listener = new FrontEndListener(path);
    }
    listener.close();
  });
});

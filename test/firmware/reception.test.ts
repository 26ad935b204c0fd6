import { afterEach, describe, expect, it } from 'vitest';
import { COUNTER_BYTES, COUNTER_PACKETS } from '../../layout/counters.ts';
import { PORT_IS_UPLINK } from '../../layout/port.ts';
import { receivingPromise, writePromise } from '../../src/state/promises.ts';
import { BROADCAST, plainFrame } from '../../src/testing/frames.ts';
import { Crowd } from '../support/crowd.ts';
import { promise } from '../support/promises.ts';

const RATE = 125e6;
const SECONDS = 0.05;

describe('a function that may not receive more', () => {
  let crowd: Crowd;

  afterEach(() => crowd.wire.close());

  function makeUplink(guest: number): void {
    const record = crowd.wire.host.portRecord(guest);
    crowd.wire.host.view.setUint32(record + PORT_IS_UPLINK, 1, true);
  }

  function received(guest: number, counter = COUNTER_BYTES): number {
    return crowd.wire.host.counter(guest, 0, counter);
  }

  function during(work: () => void, counter = COUNTER_BYTES): number {
    const before = received(crowd.sink, counter);
    work();
    return received(crowd.sink, counter) - before;
  }

  it.each([60, 1500])('receives what it may, in frames of %i bytes', (length) => {
    crowd = new Crowd([length]);
    promise(crowd.wire.host, crowd.sink, { receivedBytesPerSecond: RATE });
    crowd.runFor(10e6);
    const bytes = during(() => crowd.runFor(SECONDS * 1e9));
    expect(Math.abs(bytes / (RATE * SECONDS) - 1)).toBeLessThan(0.005);
    // Its sender waits for 1 % of the time; what it sends beyond that is dropped by name.
    expect(crowd.wire.drops(crowd.sink, 'rx', 'receiveRate')).toBeGreaterThan(0);
  });

  it('receives what TCP sends in one go, and in any time no more than that beside its rate', () => {
    crowd = new Crowd([1500]);
    const { host } = crowd.wire;
    const words = receivingPromise({ rxMax: 100e6, rxMaxPackets: 0 });
    writePromise(host.shared.view, crowd.sink, words);
    host.firmware.changeNode(crowd.sink);
    host.pass(10e6);
    const dropped = () => crowd.wire.drops(crowd.sink, 'rx', 'receiveRate');
    const before = dropped();
    const bytes = during(() => {
      crowd.send(0, 43); // 64 KiB
      host.settle();
    });
    expect([bytes, dropped()]).toEqual([43 * 1500, before]);
    host.pass(10e6);
    const more = during(() => crowd.runFor(10e6));
    expect(more).toBeLessThan(12.5e6 * 0.01 + 65_553 + 2 * 1500);
  });

  it('receives as many packets as it may', () => {
    crowd = new Crowd([60]);
    promise(crowd.wire.host, crowd.sink, { receivedPacketsPerSecond: 1e6 });
    crowd.runFor(10e6);
    const packets = during(() => crowd.runFor(SECONDS * 1e9), COUNTER_PACKETS);
    expect(Math.abs(packets / (1e6 * SECONDS) - 1)).toBeLessThan(0.005);
  });

  it('makes senders wait for an uplink with a capacity, and loses nothing', () => {
    crowd = new Crowd([1500, 1500]);
    makeUplink(crowd.sink);
    promise(crowd.wire.host, crowd.sink, { receivedBytesPerSecond: RATE, overhead: 24 });
    crowd.runFor(10e6);
    const drops = crowd.wire.allDrops(crowd.sink);
    let bytes = 0;
    const sent = crowd.during(() => {
      bytes = during(() => crowd.runFor(SECONDS * 1e9));
    });
    const onTheWire = (bytes * (1500 + 24)) / 1500;
    expect(Math.abs(onTheWire / (RATE * SECONDS) - 1)).toBeLessThan(0.005);
    // Shared by processor time.
    expect((sent[0] ?? 0) / (sent[1] ?? 0)).toBeGreaterThan(0.8);
    expect((sent[0] ?? 0) / (sent[1] ?? 0)).toBeLessThan(1.25);
    expect(crowd.wire.allDrops(crowd.sink)).toEqual(drops);
  });

  it('does not make an uplink wait: its frames are dropped by name', () => {
    crowd = new Crowd([1500]);
    makeUplink(0);
    promise(crowd.wire.host, crowd.sink, { receivedBytesPerSecond: RATE });
    const before = crowd.wire.host.nanoseconds;
    const [sent = 0] = crowd.during(() => crowd.run(200));
    const mayReceive = ((crowd.wire.host.nanoseconds - before) / 1e9) * RATE;
    expect(sent).toBeGreaterThan(2 * mayReceive);
    expect(crowd.wire.drops(crowd.sink, 'rx', 'receiveRate')).toBeGreaterThan(0);
  });

  it('does not make a flood wait for it', () => {
    crowd = new Crowd([1500, 1500]);
    const { wire } = crowd;
    promise(wire.host, crowd.sink, { receivedBytesPerSecond: 1e3 });
    const frame = plainFrame({ to: BROADCAST, from: wire.mac(0) }, 1500, 1);
    const before = wire.host.counter(1, 0, COUNTER_PACKETS);
    wire.post(1);
    for (let i = 0; i < 50; i++) wire.send(0, frame);
    wire.run();
    expect(wire.host.counter(1, 0, COUNTER_PACKETS) - before).toBe(50);
    expect(wire.drops(crowd.sink, 'rx', 'receiveRate')).toBeGreaterThan(40);
  });

  it('costs those that also send to others at most 2 %', () => {
    crowd = new Crowd([1500, 1500, 1500, 1500]);
    const { wire } = crowd;
    const closed = 0;
    /** Each sends to the one that may receive nothing and to the sink, in turns. */
    const deliver = () => {
      const before = received(crowd.sink, COUNTER_PACKETS);
      const started = wire.host.nanoseconds;
      while (wire.host.nanoseconds - started < 4e6) {
        for (const from of [1, 2, 3]) {
          for (let i = 0; i < 100; i++) {
            const to = wire.mac(i % 2 === 0 ? closed : crowd.sink);
            if (!wire.send(from, plainFrame({ to, from: wire.mac(from) }, 1500, i))) break;
          }
        }
        wire.host.turn();
        for (const guest of [closed, crowd.sink]) wire.received(guest);
        const wake = wire.host.firmware.wakeMicroseconds();
        if (wake > 0) wire.host.pass(wake * 1000);
      }
      return received(crowd.sink, COUNTER_PACKETS) - before;
    };
    const free = deliver();
    promise(wire.host, closed, { receivedBytesPerSecond: 1e3 });
    deliver();
    expect(deliver() / free).toBeGreaterThan(0.96);
  });

  it('is waited for no longer once its capacity is lifted', () => {
    crowd = new Crowd([1500]);
    const { wire } = crowd;
    makeUplink(crowd.sink);
    promise(wire.host, crowd.sink, { receivedBytesPerSecond: 1e3, overhead: 24 });
    crowd.runFor(5e6);
    expect(during(() => crowd.runFor(5e6))).toBe(0);
    promise(wire.host, crowd.sink, {});
    expect(during(() => crowd.runFor(5e6))).toBeGreaterThan(1e6);
  });

  it('has an alarm for each ring that waits, however many receivers are closed', () => {
    crowd = new Crowd([60, 60, 60, 60]);
    const { wire } = crowd;
    const { host } = wire;
    for (const uplink of [2, 3]) makeUplink(uplink);
    promise(host, 2, { receivedBytesPerSecond: 4e6, overhead: 24 });
    promise(host, 3, { receivedBytesPerSecond: 1e6, overhead: 24 });
    for (const [from, to] of [
      [0, 2],
      [1, 3],
    ] as const) {
      const frame = plainFrame({ to: wire.mac(to), from: wire.mac(from) }, 60, 1);
      for (let i = 0; i < 200; i++) wire.send(from, frame);
    }
    const isAllSent = () =>
      [0, 1].every((from) => {
        const { transmit } = wire.guest(from).pair(0);
        transmit.reclaim();
        return transmit.outstanding === 0;
      });
    for (let sleeps = 0; sleeps < 2000 && !isAllSent(); sleeps++) {
      host.run();
      for (const to of [2, 3]) wire.received(to);
      if (isAllSent()) break;
      expect(host.firmware.arm(), 'a ring that may not send is left out').toBe(0);
      host.firmware.disarm();
      const wake = host.firmware.wakeMicroseconds();
      expect(wake, 'so it has an alarm').toBeGreaterThanOrEqual(0);
      host.pass(wake * 1000 + 1000);
    }
    expect(isAllSent()).toBe(true);
    for (const to of [2, 3]) expect(wire.allDrops(to)).toEqual({});
  });

  it('leaves no alarm behind', () => {
    crowd = new Crowd([1500]);
    const { host } = crowd.wire;
    makeUplink(crowd.sink);
    promise(host, crowd.sink, { receivedBytesPerSecond: 1e3, overhead: 24 });
    crowd.runFor(5e6);
    expect(host.firmware.wakeMicroseconds()).toBeGreaterThanOrEqual(0);
    for (const guest of [0, crowd.sink]) host.firmware.detachRing(host.ringNumber(guest, 1));
    host.pass(1e9);
    host.turn();
    expect(host.firmware.wakeMicroseconds()).toBe(-1);
  });
});

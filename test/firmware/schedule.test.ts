import { afterEach, describe, expect, it } from 'vitest';
import { BATCH_MAX, CREDIT_IDLE_NS_MAX, NODE_FIRST_GROUP, NODE_ROOT } from '../../layout/limits.ts';
import { BACKLOG, Crowd } from '../support/crowd.ts';
import { accountOf, promise } from '../support/promises.ts';

function shares(amounts: readonly number[]): number[] {
  const sum = amounts.reduce((total, amount) => total + amount, 0);
  return amounts.map((amount) => amount / sum);
}

function jain(amounts: readonly number[]): number {
  const sum = amounts.reduce((total, amount) => total + amount, 0);
  const squares = amounts.reduce((total, amount) => total + amount * amount, 0);
  return (sum * sum) / (amounts.length * squares);
}

describe('the schedule', () => {
  let crowd: Crowd;

  afterEach(() => crowd.wire.close());

  it('shares processor time equally, whatever the size of frames', () => {
    crowd = new Crowd([60, 60, 1500, 512]);
    const work = crowd.during(() => crowd.run(400), 'workNanoseconds');
    expect(jain(work)).toBeGreaterThan(0.999);
  });

  it('gives 16 queue pairs what one pair gets', () => {
    crowd = new Crowd([60, 60], (guest) => (guest === 0 ? { queuePairs: 16, slots: 60 } : {}));
    const work = crowd.during(() => crowd.run(1000), 'workNanoseconds');
    expect(shares(work)[0]).toBeCloseTo(0.5, 2);
  });

  it('shares by weight', () => {
    crowd = new Crowd([1500, 1500, 1500, 1500]);
    crowd.slowDown();
    const weights = [1, 2, 4, 8];
    for (const [guest, weight] of weights.entries()) promise(crowd.wire.host, guest, { weight });
    const got = shares(crowd.during(() => crowd.run(1000)));
    const wanted = shares(weights);
    for (const [guest, share] of got.entries()) {
      expect(Math.abs(share / (wanted[guest] ?? 0) - 1), `guest ${guest}`).toBeLessThan(0.01);
    }
  });

  it.each([60, 1500])('holds a maximum, with frames of %i bytes', (length) => {
    crowd = new Crowd([length, length]);
    const bytesPerSecond = 125e6;
    promise(crowd.wire.host, 0, { bytesPerSecond });
    crowd.runFor(5e6);
    const [bytes = 0] = crowd.during(() => crowd.runFor(200e6));
    expect(Math.abs(bytes / (bytesPerSecond * 0.2) - 1)).toBeLessThan(0.005);
  });

  it('credits a stopped function what it could not send because the processor came late', () => {
    crowd = new Crowd([1500]);
    const bytesPerSecond = 125e6;
    promise(crowd.wire.host, 0, { bytesPerSecond });
    crowd.runFor(5e6);
    const [bytes = 0] = crowd.during(() => {
      for (let time = 0; time < 20; time++) {
        crowd.wire.host.pass(10e6);
        crowd.runFor(5e6);
      }
    });
    expect(Math.abs(bytes / (bytesPerSecond * 0.3) - 1)).toBeLessThan(0.005);
    const [atOnce = 0] = crowd.during(() => {
      crowd.wire.host.pass(1e9);
      crowd.run(100);
    });
    expect(atOnce, 'not for longer than 20 ms').toBeLessThan(bytesPerSecond * 0.021);
  });

  it('credits nothing to who had nothing more to send', () => {
    crowd = new Crowd([1500]);
    const { host } = crowd.wire;
    const bytesPerSecond = 125e6;
    const burstBytes = bytesPerSecond * 450e-6;
    promise(host, 0, { bytesPerSecond });
    const [before = 0] = crowd.during(() => {
      crowd.send(0, 2 * Math.ceil(burstBytes / 1500));
      host.work();
    });
    expect(before, 'it was stopped').toBeLessThan(1.5 * burstBytes);
    host.pass(10e6);
    host.work();
    host.pass(2 * CREDIT_IDLE_NS_MAX); // its driver had the time to send more
    const [after = 0] = crowd.during(() => crowd.run(20));
    expect(after).toBeLessThan(burstBytes + 20 * 3000 * 0.125 + 1500);
  });

  it('holds a maximum of packets, and counts the time for which it held the function back', () => {
    crowd = new Crowd([60]);
    promise(crowd.wire.host, 0, { packetsPerSecond: 1e6 });
    crowd.runFor(5e6);
    const before = accountOf(crowd.wire.host, 0).heldNanoseconds;
    const [packets = 0] = crowd.during(() => crowd.runFor(50e6), 'packets');
    expect(Math.abs(packets / 50_000 - 1)).toBeLessThan(0.01);
    expect(accountOf(crowd.wire.host, 0).heldNanoseconds - before).toBeGreaterThan(10e6);
  });

  it('fulfils a guarantee first, and shares the rest', () => {
    crowd = new Crowd([1500, 1500, 1500, 1500]);
    crowd.run(10);
    const rate = 1e9 / 8;
    promise(crowd.wire.host, 0, { guaranteedBytesPerSecond: 4 * rate, guaranteedTime: 0.9 });
    let nanoseconds = 0;
    const bytes = crowd.during(() => {
      const started = crowd.wire.host.nanoseconds;
      crowd.run(2000);
      nanoseconds = crowd.wire.host.nanoseconds - started;
    });
    const [first = 0, ...others] = bytes;
    const guaranteed = (4 * rate * nanoseconds) / 1e9;
    const rest = (bytes.reduce((sum, one) => sum + one, 0) - guaranteed) / 4;
    expect(first / (guaranteed + rest)).toBeCloseTo(1, 1);
    expect(jain(others)).toBeGreaterThan(0.999);
  });

  it('serves the higher priority first, but leaves one part in a hundred to the lower', () => {
    crowd = new Crowd([1500, 1500, 1500]);
    crowd.slowDown();
    promise(crowd.wire.host, 0, { priority: 1 });
    const [first = 0, ...others] = shares(crowd.during(() => crowd.run(3000), 'workNanoseconds'));
    expect(first).toBeGreaterThan(0.985);
    expect(first).toBeLessThan(0.992);
    expect(jain(others)).toBeGreaterThan(0.99);
  });

  it('shares between groups first, then within them', () => {
    crowd = new Crowd([1500, 1500, 1500, 1500]);
    const gold = NODE_FIRST_GROUP;
    const inner = NODE_FIRST_GROUP + 1;
    promise(crowd.wire.host, gold, { weight: 3 });
    promise(crowd.wire.host, inner, { parent: gold });
    promise(crowd.wire.host, 0, { parent: gold });
    promise(crowd.wire.host, 1, { parent: inner });
    promise(crowd.wire.host, 2, { parent: inner });
    const got = shares(crowd.during(() => crowd.run(1000)));
    const wanted = [3 / 8, 3 / 16, 3 / 16, 1 / 4];
    for (const [guest, share] of got.entries()) {
      expect(Math.abs(share / (wanted[guest] ?? 0) - 1), `guest ${guest}`).toBeLessThan(0.01);
    }
  });

  it('holds the maximum of a group, and shares it', () => {
    crowd = new Crowd([1500, 1500, 1500]);
    const bytesPerSecond = 250e6;
    promise(crowd.wire.host, NODE_FIRST_GROUP, { bytesPerSecond });
    for (const guest of [0, 1]) promise(crowd.wire.host, guest, { parent: NODE_FIRST_GROUP });
    crowd.runFor(5e6);
    const [a = 0, b = 0, other = 0] = crowd.during(() => crowd.runFor(50e6));
    expect(Math.abs((a + b) / (bytesPerSecond * 0.05) - 1)).toBeLessThan(0.01);
    expect(a / b).toBeCloseTo(1, 1);
    expect(other).toBeGreaterThan(a + b);
  });

  it('serves a function with little to send before the others go on', () => {
    crowd = new Crowd([60, 60, 60, 60, 60, 60, 60, 60]);
    const { host } = crowd.wire;
    const quiet = 7;
    const frames = (work: () => void) => crowd.during(work, 'packets')[quiet];
    for (let from = 0; from < quiet; from++) crowd.send(from, BACKLOG);
    host.turn();
    crowd.wire.received(crowd.sink);
    host.signals.length = 0;
    crowd.send(quiet, 1);
    expect(frames(() => host.turn())).toBe(1);
    // It is interrupted now, not when all others have been served.
    expect(host.signals).toContain(host.ringNumber(quiet, 1));
    crowd.wire.received(crowd.sink);
    crowd.send(quiet, 5);
    expect(frames(() => host.turn())).toBe(5);
  });

  it('does not give more to who looks idle between two batches', () => {
    crowd = new Crowd([60, 60, 60, 60]);
    const { host } = crowd.wire;
    const work = crowd.during(() => {
      for (let turn = 0; turn < 1000; turn++) {
        for (let from = 1; from < 4; from++) crowd.send(from, BACKLOG);
        crowd.send(0, 16);
        host.turn();
        crowd.wire.received(4);
      }
    }, 'workNanoseconds');
    expect(shares(work)[0]).toBeLessThan(0.25 * 1.05);
  });

  it('uses shorter batches of large frames after a sparse function was served', () => {
    crowd = new Crowd([1500, 1500, 1500]);
    const { host } = crowd.wire;
    for (const from of [0, 1]) crowd.send(from, BACKLOG);
    expect(Math.max(...crowd.during(() => host.turn(), 'packets'))).toBeGreaterThanOrEqual(
      BATCH_MAX,
    );
    crowd.wire.received(crowd.sink);
    crowd.send(2, 1);
    host.turn();
    const short = crowd.during(() => host.turn(), 'packets');
    expect(Math.max(...short)).toBeLessThan(BATCH_MAX);
    crowd.wire.received(crowd.sink);
    host.settle();
    crowd.wire.received(crowd.sink);
    for (const from of [0, 1]) crowd.send(from, BACKLOG);
    expect(Math.max(...crowd.during(() => host.turn(), 'packets'))).toBeGreaterThanOrEqual(
      BATCH_MAX,
    );
  });

  it('forgets a detached ring, and continues with the others', () => {
    crowd = new Crowd([60, 60, 60, 60]);
    const { host } = crowd.wire;
    crowd.fill();
    host.turn();
    const sent = crowd.during(() => {
      for (const guest of [0, 2]) host.firmware.detachRing(host.ringNumber(guest, 1));
      host.run();
    }, 'packets');
    expect(sent[0]).toBe(0);
    expect(sent[2]).toBe(0);
    for (const guest of [1, 3]) {
      crowd.wire.guest(guest).pair(0).transmit.reclaim();
      expect(crowd.wire.guest(guest).pair(0).transmit.outstanding).toBe(0);
    }
  });

  it('lets a function that is stopped by its maximum neither escape by giving up its rings', () => {
    crowd = new Crowd([1500, 1500]);
    const { host } = crowd.wire;
    promise(host, 0, { bytesPerSecond: 1e6 });
    crowd.runFor(2e6);
    const ring = host.ringNumber(0, 1);
    const [bytes = 0] = crowd.during(() => {
      for (let turn = 0; turn < 50; turn++) {
        host.firmware.detachRing(ring);
        crowd.run(1);
        host.attach(0, 1);
        crowd.run(1);
      }
    });
    expect(bytes).toBeLessThan(1514 * 2);
  });

  it('changes promises while traffic runs', () => {
    crowd = new Crowd([1500, 1500]);
    const { host } = crowd.wire;
    promise(host, 0, { bytesPerSecond: 125e3 });
    crowd.runFor(20e6);
    const [slow = 0] = crowd.during(() => crowd.runFor(50e6));
    expect(slow).toBeLessThan(10_000);
    promise(host, 0, {});
    expect(jain(crowd.during(() => crowd.run(1000)))).toBeGreaterThan(0.99);
    promise(host, 0, { parent: NODE_FIRST_GROUP });
    promise(host, NODE_FIRST_GROUP, { weight: 3 });
    expect(shares(crowd.during(() => crowd.run(1000)))[0]).toBeCloseTo(0.75, 1);
  });

  it('counts what all have had for the NIC', () => {
    crowd = new Crowd([60, 1500]);
    const { host } = crowd.wire;
    const before = accountOf(host, NODE_ROOT);
    const sent = crowd.during(() => crowd.run(100));
    expect(accountOf(host, NODE_ROOT).bytes - before.bytes).toBe(sent.reduce((a, b) => a + b, 0));
  });

  it('holds the capacity of the NIC', () => {
    crowd = new Crowd([1500, 60]);
    const bytesPerSecond = 125e6;
    promise(crowd.wire.host, NODE_ROOT, { bytesPerSecond });
    crowd.runFor(5e6);
    const sent = crowd.during(() => crowd.runFor(50e6)).reduce((sum, bytes) => sum + bytes, 0);
    expect(Math.abs(sent / (bytesPerSecond * 0.05) - 1)).toBeLessThan(0.01);
  });

  it.each([60, 1500])('exceeds a low maximum by no more than a frame of %i bytes', (length) => {
    crowd = new Crowd([length]);
    const { host } = crowd.wire;
    const bytesPerSecond = 125e3;
    const burst = 2 * 1514;
    promise(host, 0, { bytesPerSecond, burstNs: (burst * 1e9) / bytesPerSecond });
    host.pass(1e9);
    for (let window = 0; window < 20; window++) {
      const [bytes = 0] = crowd.during(() => crowd.runFor(10e6));
      const allowed = bytesPerSecond * 0.01 + (window === 0 ? burst : 0) + length;
      expect(bytes).toBeLessThanOrEqual(allowed);
    }
  });

  it('starts anew in another group: what a function had elsewhere does not count', () => {
    crowd = new Crowd([1500, 1500, 1500]);
    crowd.slowDown();
    const { host } = crowd.wire;
    crowd.run(1000);
    for (const guest of [1, 2]) promise(host, guest, { parent: NODE_FIRST_GROUP });
    crowd.run(20);
    promise(host, 0, { parent: NODE_FIRST_GROUP });
    expect(jain(crowd.during(() => crowd.run(300)))).toBeGreaterThan(0.99);
    promise(host, 0, { parent: NODE_FIRST_GROUP, priority: 1 });
    expect(shares(crowd.during(() => crowd.run(300)))[0]).toBeGreaterThan(0.95);
    promise(host, 0, { parent: NODE_FIRST_GROUP });
    expect(jain(crowd.during(() => crowd.run(300)))).toBeGreaterThan(0.99);
  });

  it('applies a higher maximum at once, whatever a lower one has left', () => {
    crowd = new Crowd([1500]);
    const { host } = crowd.wire;
    promise(host, 0, { bytesPerSecond: 1e3 });
    crowd.runFor(20e6);
    promise(host, 0, { bytesPerSecond: 1e9 });
    const [bytes = 0] = crowd.during(() => crowd.runFor(5e6));
    expect(bytes).toBeGreaterThan(0.8 * 1e9 * 0.005);
  });

  it('lets the processor sleep while the maximum of a group is used up', () => {
    crowd = new Crowd([1500, 1500]);
    const { host } = crowd.wire;
    promise(host, NODE_FIRST_GROUP, { bytesPerSecond: 1e6 });
    for (const guest of [0, 1]) promise(host, guest, { parent: NODE_FIRST_GROUP });
    crowd.run(20);
    expect(host.firmware.wakeMicroseconds()).toBeGreaterThan(0);
    expect(host.firmware.arm()).toBe(0);
    host.firmware.disarm();
    expect(host.firmware.heldMicroseconds(), 'and does not spin before').toBeGreaterThan(0);
  });
});

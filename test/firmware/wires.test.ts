import { afterEach, describe, expect, it } from 'vitest';
import { NODE_FIRST_GROUP, NODE_ROOT } from '../../layout/limits.ts';
import { PORT_IS_UPLINK } from '../../layout/port.ts';
import { BROADCAST, plainFrame } from '../../src/testing/frames.ts';
import { Crowd } from '../support/crowd.ts';
import { promise } from '../support/promises.ts';

/** 1 Gbit/s: senders of any size exceed it. */
const bytesPerSecond = 125e6;
const WEIGHTS = [1, 2, 4, 8];
/** The dearest by the byte has the largest weight. */
const LENGTHS = [1500, 512, 256, 128];

describe('what a wire carries is shared in bytes', () => {
  let crowd: Crowd;

  afterEach(() => crowd.wire.close());

  /** The largest error of a part, relative to what weights say. */
  function errorOf(bytes: readonly number[], weights: readonly number[] = WEIGHTS): number {
    const sum = bytes.reduce((total, one) => total + one, 0);
    const weight = weights.reduce((total, one) => total + one, 0);
    const errors = weights.map((own, guest) => ((bytes[guest] ?? 0) / sum / own) * weight - 1);
    return Math.max(...errors.map(Math.abs));
  }

  function measured(): number[] {
    // A batch takes less time on the processor than on the wire.
    crowd.wire.host.nanosecondsPerLook = 300;
    crowd.runFor(5e6);
    return crowd.during(() => crowd.runFor(100e6));
  }

  it('if it is the capacity of the NIC', () => {
    crowd = new Crowd(LENGTHS);
    promise(crowd.wire.host, NODE_ROOT, { bytesPerSecond });
    for (const [guest, weight] of WEIGHTS.entries()) promise(crowd.wire.host, guest, { weight });
    expect(errorOf(measured())).toBeLessThan(0.01);
  });

  it('if it is the maximum of a group, also in the groups below it', () => {
    crowd = new Crowd([...LENGTHS, 1500]);
    const { host } = crowd.wire;
    const inner = NODE_FIRST_GROUP + 1;
    promise(host, NODE_FIRST_GROUP, { bytesPerSecond });
    promise(host, inner, { parent: NODE_FIRST_GROUP, weight: 12 });
    for (const [guest, weight] of WEIGHTS.entries()) {
      promise(host, guest, { weight, parent: guest < 2 ? NODE_FIRST_GROUP : inner });
    }
    const bytes = measured();
    expect(errorOf(bytes.slice(0, WEIGHTS.length))).toBeLessThan(0.01);
    // Who is in no group is short of nothing but the processor.
    expect(bytes.at(-1)).toBeGreaterThan(2 * bytesPerSecond * 0.1);
  });

  it('but who takes more processor time than wire pays for that', () => {
    crowd = new Crowd([60, 1500]);
    // Nobody can take half of this wire in frames of 60 bytes.
    promise(crowd.wire.host, NODE_ROOT, { bytesPerSecond: 5e9 });
    const [small = 0, large = 0] = measured();
    expect(small).toBeGreaterThan(0);
    expect(small).toBeLessThan(large);
  });

  function startUplink(lengths: readonly number[], overhead = 0): void {
    crowd = new Crowd(lengths);
    const { host } = crowd.wire;
    host.view.setUint32(host.portRecord(crowd.sink) + PORT_IS_UPLINK, 1, true);
    promise(host, crowd.sink, { receivedBytesPerSecond: bytesPerSecond, overhead });
  }

  it('if it is an uplink', () => {
    startUplink(LENGTHS);
    for (const [guest, weight] of WEIGHTS.entries()) promise(crowd.wire.host, guest, { weight });
    const drops = crowd.wire.allDrops(crowd.sink);
    const bytes = measured();
    const sum = bytes.reduce((total, one) => total + one, 0);
    expect(Math.abs(sum / (bytesPerSecond * 0.1) - 1)).toBeLessThan(0.005);
    expect(errorOf(bytes)).toBeLessThan(0.01);
    expect(crowd.wire.allDrops(crowd.sink)).toEqual(drops);
  });

  it('of an uplink, also while one of them may send less than its part', () => {
    startUplink([1500, 1500, 1500]);
    promise(crowd.wire.host, 0, { bytesPerSecond: bytesPerSecond / 10 });
    const [limited = 0, ...others] = measured();
    expect(limited / (bytesPerSecond * 0.1)).toBeCloseTo(0.1, 2);
    expect(errorOf(others, [1, 1])).toBeLessThan(0.01);
    const sum = others.reduce((total, one) => total + one, limited);
    expect(Math.abs(sum / (bytesPerSecond * 0.1) - 1)).toBeLessThan(0.005);
  });

  it('of an uplink, and a guarantee comes first', () => {
    startUplink([1500, 1500, 1500]);
    const guaranteedBytesPerSecond = bytesPerSecond / 2;
    promise(crowd.wire.host, 0, { guaranteedBytesPerSecond });
    const [first = 0, ...others] = measured();
    const part = first / (bytesPerSecond * 0.1);
    // Its guarantee, and its weight's part of the rest.
    expect(part).toBeGreaterThan(0.5);
    expect(part).toBeLessThan(0.68);
    expect(errorOf(others, [1, 1])).toBeLessThan(0.01);
  });

  it('of an uplink, also by who floods it', () => {
    startUplink([1500, 1500]);
    const { wire } = crowd;
    const flood = plainFrame({ to: BROADCAST, from: wire.mac(1) }, 1500, 1);
    const during = (nanoseconds: number) => {
      const end = wire.host.nanoseconds + nanoseconds;
      return crowd.during(() => {
        while (wire.host.nanoseconds < end) {
          crowd.send(0, 200);
          for (let i = 0; i < 20 && wire.send(1, flood); i++);
          wire.host.turn();
          for (const guest of [0, crowd.sink]) wire.received(guest);
          const wake = wire.host.firmware.wakeMicroseconds();
          if (wake > 0) wire.host.pass(Math.min(wake * 1000, 20_000));
        }
      });
    };
    during(5e6);
    const [quiet = 0] = during(50e6);
    expect(quiet / (bytesPerSecond * 0.05)).toBeGreaterThan(0.48);
  });

  it('of an uplink, without debts of who had it alone', () => {
    startUplink([1500, 1500]);
    const alone = crowd.during(() => {
      for (let turn = 0; turn < 2000; turn++) {
        crowd.send(0, 100);
        crowd.wire.host.turn();
        crowd.wire.received(crowd.sink);
        const wake = crowd.wire.host.firmware.wakeMicroseconds();
        if (wake > 0) crowd.wire.host.pass(wake * 1000);
      }
    });
    expect(alone[0]).toBeGreaterThan(1e6);
    const [first = 0, second = 0] = crowd.during(() => crowd.runFor(5e6));
    expect(first / second).toBeGreaterThan(0.8);
    expect(first / second).toBeLessThan(1.25);
  });
});

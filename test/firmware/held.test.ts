import { afterEach, describe, expect, it } from 'vitest';
import { plainFrame } from '../../src/testing/frames.ts';
import { Crowd } from '../support/crowd.ts';
import { promise } from '../support/promises.ts';

const FRAME_BYTES = 1500;
/** 100 Mbit/s. */
const bytesPerSecond = 12.5e6;

describe('a processor whose functions have all used up their maximum', () => {
  let crowd: Crowd;

  afterEach(() => crowd.wire.close());

  /** Whether the driver would kick for one more frame. */
  function wantsKick(from: number): boolean {
    const { wire, sink } = crowd;
    const { transmit } = wire.guest(from).pair(0);
    const frame = plainFrame({ to: wire.mac(sink), from: wire.mac(from) }, FRAME_BYTES, from);
    transmit.reclaim();
    expect(transmit.trySend(frame)).toBe(true);
    return transmit.ring.publish();
  }

  it('asks for kicks of those only that may send', () => {
    crowd = new Crowd([FRAME_BYTES, FRAME_BYTES]);
    const { host } = crowd.wire;
    promise(host, 0, { bytesPerSecond });
    crowd.send(0, 20);
    host.work();
    expect(host.firmware.arm()).toBe(0);
    expect(wantsKick(0)).toBe(false);
    expect(wantsKick(1)).toBe(true);
    host.firmware.disarm();
  });

  it.each([1, 8])('wakes up once for several frames of %i functions', (count) => {
    crowd = new Crowd(Array.from({ length: count }, () => FRAME_BYTES));
    const { host } = crowd.wire;
    for (let guest = 0; guest < count; guest++) promise(host, guest, { bytesPerSecond });
    crowd.runFor(5e6);
    let wakes = 0;
    const seconds = 0.1;
    const bytes = crowd.during(() => {
      const end = host.nanoseconds + seconds * 1e9;
      while (host.nanoseconds < end) {
        crowd.fill();
        host.work();
        crowd.wire.received(crowd.sink);
        const microseconds = host.firmware.wakeMicroseconds();
        expect(microseconds).toBeGreaterThan(0);
        host.pass(microseconds * 1000);
        wakes++;
      }
    });
    for (const one of bytes) {
      expect(Math.abs(one / (bytesPerSecond * seconds) - 1)).toBeLessThan(0.01);
    }
    expect(wakes / seconds).toBeLessThan(3000);
  });
});

import { afterEach, describe, expect, it } from 'vitest';
import { CREDIT_NS_MAX, NODE_ROOT, SHARE_CREDIT_NS_MAX } from '../../layout/limits.ts';
import { Crowd } from '../support/crowd.ts';
import { promise } from '../support/promises.ts';

const bytesPerSecond = 125e6;
const SECONDS = 0.1;

describe('a processor that loses its CPU', () => {
  let crowd: Crowd;

  afterEach(() => crowd.wire.close());

  function start(): void {
    crowd = new Crowd([1500]);
    promise(crowd.wire.host, 0, { bytesPerSecond });
    crowd.runFor(5e6);
  }

  /** The kernel takes the CPU away for so many ns. */
  function lose(nanoseconds: number): void {
    crowd.wire.host.nanoseconds += nanoseconds;
    crowd.wire.host.nanosecondsLost += nanoseconds;
  }

  /** Bytes in SECONDS, of which `lost` ns pass in one go, in the middle. */
  function bytesWith(lose: () => void): number {
    const end = crowd.wire.host.nanoseconds + SECONDS * 1e9;
    const [bytes = 0] = crowd.during(() => {
      crowd.runFor((SECONDS * 1e9) / 2);
      lose();
      crowd.runFor(end - crowd.wire.host.nanoseconds);
    });
    return bytes;
  }

  const part = (bytes: number) => bytes / (bytesPerSecond * SECONDS);

  it.each([
    ['between two turns', 5e6],
    ['for longer', CREDIT_NS_MAX],
  ])('gives it back to whom a maximum holds: %s', (_, lost) => {
    start();
    const bytes = bytesWith(() => lose(lost));
    expect(Math.abs(part(bytes) - 1)).toBeLessThan(0.006);
  });

  it('gives it back after a sleep that lasted too long', () => {
    start();
    const bytes = bytesWith(() => crowd.wire.host.pass(5e6));
    expect(Math.abs(part(bytes) - 1)).toBeLessThan(0.006);
  });

  it('gives no more than 20 ms back', () => {
    start();
    const lost = 40e6;
    const bytes = bytesWith(() => crowd.wire.host.pass(lost));
    expect(Math.abs(part(bytes) - (1 - (lost - CREDIT_NS_MAX) / 1e9 / SECONDS))).toBeLessThan(0.01);
  });

  it('keeps nothing for a NIC that had nothing to send since', () => {
    start();
    promise(crowd.wire.host, 0, {});
    promise(crowd.wire.host, NODE_ROOT, { bytesPerSecond });
    crowd.runFor(5e6);
    lose(20e6);
    crowd.wire.host.run();
    crowd.wire.received(crowd.sink);
    crowd.wire.host.pass(1e9);
    const [bytes = 0] = crowd.during(() => crowd.runFor(2e6));
    expect(bytes).toBeLessThan(bytesPerSecond * (2e-3 + 0.5e-3));
  });

  it('excuses no batch for what was lost before it', () => {
    start();
    promise(crowd.wire.host, 0, {});
    const { host } = crowd.wire;
    const [work = 0] = crowd.during(() => {
      for (let i = 0; i < 50; i++) {
        lose(200_000);
        crowd.send(0, 1);
        let looks = 0;
        host.costOfLook = () => (looks++ === 1 ? 150_000 : 100); // the second one ends the batch
        host.work();
        crowd.wire.received(crowd.sink);
      }
    }, 'workNanoseconds');
    expect(work).toBeGreaterThan(50 * 150_000 * 0.9);
  });

  it.each([
    ['what it lost', 3e6, 0],
    ['no more than 4 ms', 8e6, 8e6 - SHARE_CREDIT_NS_MAX],
  ])('gives it back to whom a guarantee protects: %s', (_, lost, forgotten) => {
    const floods = [60, 60, 60]; // more than a turn takes
    crowd = new Crowd([60, ...floods]);
    promise(crowd.wire.host, 0, { guaranteedBytesPerSecond: bytesPerSecond });
    for (const at of floods.keys()) promise(crowd.wire.host, 1 + at, { weight: 1000 });
    crowd.runFor(1e6);
    const nanoseconds = 20e6;
    const [bytes = 0] = crowd.during(() => {
      lose(lost);
      crowd.runFor(nanoseconds - lost);
    });
    const due = (bytesPerSecond * (nanoseconds - forgotten)) / 1e9;
    expect(Math.abs(bytes / due - 1)).toBeLessThan(0.05); // without: 0.15 and 0.25
  });

  it('is no savings account: who hardly sends has soon nothing left of it', () => {
    start();
    for (let i = 0; i < 5; i++) {
      lose(5e6);
      crowd.runFor(100_000);
    }
    const { host } = crowd.wire;
    host.run(); // takes everything
    crowd.wire.received(crowd.sink);
    for (let i = 0; i < 100; i++) {
      host.nanoseconds += 50_000;
      crowd.send(0, 1);
      host.work();
      crowd.wire.received(crowd.sink);
    }
    const [bytes = 0] = crowd.during(() => crowd.runFor(2e6));
    expect(bytes).toBeLessThan(bytesPerSecond * (2e-3 + 0.5e-3));
  });

  it('gives nothing to who had nothing to send', () => {
    start();
    crowd.wire.host.run(); // takes everything
    crowd.wire.received(crowd.sink);
    lose(10e6);
    const [bytes = 0] = crowd.during(() => crowd.runFor(SECONDS * 1e9));
    expect(part(bytes)).toBeLessThan(1.006);
  });
});

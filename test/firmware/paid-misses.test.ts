import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MISS_COST } from '../../layout/limits.ts';
import { REGISTER_MISS_FUNCTION, TURN_MISSED } from '../../layout/processor.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';
import { accountOf } from '../support/promises.ts';

const SCATTERED = 0;
const BUSY = 1;
const SINK = 2;
const PAIRS = 4;

/** Each buffer is in a separate window, and there are more buffers than windows. */
const scattered = {
  queuePairs: PAIRS,
  slots: 40,
  frameSizeMax: 1600,
  memory: { sparse: true, regions: [{ guestAddress: 0, sizeBytes: 2 ** 34 }] },
};

describe('a VF whose rings lack windows', () => {
  let wire: FirmwareWire;

  beforeEach(() => {
    const plain = { slots: 300, queueSize: 512 };
    wire = new FirmwareWire([scattered, plain, plain], { slotCount: 24 });
    wire.post(SINK);
    // The windows of the other VFs on this processor are open.
    send(BUSY, 290);
    wire.run();
    wire.received(SINK);
  });

  afterEach(() => wire.close());

  function send(from: number, frames: number, pair = 0): void {
    const frame = plainFrame({ to: wire.mac(SINK), from: wire.mac(from) }, 60, frames);
    for (let i = 0; i < frames; i++) if (!wire.send(from, frame, undefined, pair)) return;
  }

  function sentBy(vf: number): number {
    return wire.host.stats().vfs[vf]?.tx.packets ?? 0;
  }

  it('pays for its misses as for any work, however many rings it has', () => {
    for (let pair = 0; pair < PAIRS; pair++) send(SCATTERED, 40, pair);
    const worked = () => [SCATTERED, BUSY].map((vf) => accountOf(wire.host, vf).workNanoseconds);
    wire.host.nanosecondsPerLook = 5000; // a turn has too few batches to empty the busy ring
    let misses = 0;
    const before = worked();
    for (let turn = 0; turn < 500; turn++) {
      send(BUSY, 290);
      wire.received(SINK);
      const flags = wire.host.turn();
      const isMine = wire.host.register(REGISTER_MISS_FUNCTION) === SCATTERED;
      if ((flags & TURN_MISSED) === 0 || !isMine) continue;
      misses += 1;
      wire.host.nanoseconds += MISS_COST; // what the host needs to map the window
    }
    const [scattered = 0, busy = 0] = worked().map((work, index) => work - (before[index] ?? 0));
    expect(misses).toBeGreaterThan(20);
    expect(scattered / busy).toBeCloseTo(1, 1);
    expect(scattered).toBeGreaterThan(misses * MISS_COST);
  });

  it('still has all of its rings served', () => {
    for (let pair = 0; pair < PAIRS; pair++) send(SCATTERED, 40, pair);
    wire.host.nanosecondsPerLook = 3000;
    for (let turn = 0; turn < 2000 && sentBy(SCATTERED) < PAIRS * 40; turn++) {
      send(BUSY, 290);
      wire.received(SINK);
      wire.host.turn();
    }
    const sent = Array.from({ length: PAIRS }, (_, pair) => {
      const { transmit } = wire.guest(SCATTERED).pair(pair);
      transmit.reclaim();
      return transmit.outstanding;
    });
    expect(sent).toEqual([0, 0, 0, 0]);
  });
});

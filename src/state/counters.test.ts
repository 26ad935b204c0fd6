import { afterAll, describe, expect, it } from 'vitest';
import {
  COUNTER_BYTES,
  COUNTER_COUNT,
  COUNTER_DROPS,
  COUNTER_FORWARDED,
  COUNTER_OFFERED,
  COUNTER_PACKETS,
  DROP_RING_FULL,
  DROP_RUNT,
} from '../../layout/counters.ts';
import { SHARED_COUNTERS } from '../../layout/memory.ts';
import { readQueues, sumRx, sumTx } from './counters.ts';
import { SharedState } from './shared-state.ts';

const shared = new SharedState();
afterAll(() => shared.close());

function set(ring: number, counter: number, value: bigint): void {
  const at = SHARED_COUNTERS + (ring * COUNTER_COUNT + counter) * 8;
  shared.view.setBigUint64(at, value, true);
}

const FIRST = 96;
const rx = FIRST;
const tx = rx + 1;

describe('the counters of a VF', () => {
  it('start at zero, with a direction for each queue', () => {
    const queues = readQueues(shared, FIRST, 2);
    expect(queues.map(({ queue, direction }) => [queue, direction])).toEqual([
      [0, 'rx'],
      [1, 'tx'],
      [2, 'rx'],
      [3, 'tx'],
    ]);
    expect(sumTx(queues)).toMatchObject({ packets: 0, forwarded: 0, drops: {} });
  });

  it('are summed over the queues of a direction, and only drops that happened are listed', () => {
    for (const [ring, frames] of [
      [tx, 5n],
      [tx + 2, 7n],
    ] as const) {
      set(ring, COUNTER_PACKETS, frames);
      set(ring, COUNTER_FORWARDED, frames - 2n);
      set(ring, COUNTER_BYTES, frames * 2n ** 40n);
      set(ring, COUNTER_DROPS + DROP_RUNT, 2n);
    }
    set(rx, COUNTER_OFFERED, 9n);
    set(rx, COUNTER_PACKETS, 8n);
    set(rx, COUNTER_DROPS + DROP_RING_FULL, 1n);
    const queues = readQueues(shared, FIRST, 2);
    expect(sumTx(queues)).toMatchObject({
      packets: 12,
      forwarded: 8,
      bytes: 12 * 2 ** 40,
      drops: { runt: 4 },
    });
    expect(sumRx(queues)).toMatchObject({ offered: 9, packets: 8, drops: { ringFull: 1 } });
  });

  it('belong to one VF only', () => {
    for (const other of [FIRST - 32, FIRST + 32]) {
      expect(sumTx(readQueues(shared, other, 16)).packets).toBe(0);
    }
  });
});

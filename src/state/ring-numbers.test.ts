import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FUNCTION_COUNT_MAX, RING_BLOCK_SIZE } from '../../layout/limits.ts';
import { type RingBlock, RingNumbers } from './ring-numbers.ts';

/** A VF with a control queue, a disk with 64 queues, a vsock. */
const QUEUES_OF_A_VM = [33, 64, 3];

describe('ring numbers', () => {
  it('suffice for 256 VMs with a VF, a disk with 64 queues and a vsock each', () => {
    const numbers = new RingNumbers();
    for (let vm = 0; vm < 256; vm++) {
      for (const queues of QUEUES_OF_A_VM) {
        expect(numbers.allotFunction(), `VM ${vm}`).not.toBeNull();
        expect(numbers.allotRings(queues), `VM ${vm}`).not.toBeNull();
      }
    }
  });

  it('belong to one function, and are free again when it is gone', () => {
    const step = fc.oneof(
      fc.record({ add: fc.integer({ min: 1, max: 64 }) }),
      fc.record({ remove: fc.nat(1000) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const numbers = new RingNumbers();
        const blocks: RingBlock[] = [];
        for (const one of steps) {
          if ('add' in one) {
            const block = numbers.allotRings(one.add);
            if (block === null) continue;
            expect(block.count).toBeGreaterThanOrEqual(one.add);
            expect(block.first % RING_BLOCK_SIZE).toBe(0);
            for (const { first, count } of blocks) {
              const isApart = block.first >= first + count || first >= block.first + block.count;
              expect(isApart).toBe(true);
            }
            blocks.push(block);
          } else if (blocks.length > 0) {
            const [gone] = blocks.splice(one.remove % blocks.length, 1);
            if (gone !== undefined) numbers.freeRings(gone);
          }
        }
        for (const block of blocks) numbers.freeRings(block);
        expect(numbers.allotRings(1)?.first).toBe(0);
      }),
    );
  });

  it('run out: one function too many gets no number', () => {
    const numbers = new RingNumbers();
    for (let number = 0; number < FUNCTION_COUNT_MAX; number++) numbers.allotFunction();
    expect(numbers.allotFunction()).toBeNull();
    numbers.freeFunction(7);
    expect(numbers.allotFunction()).toBe(7);
    while (numbers.allotRings(64) !== null);
    expect(numbers.allotRings(64)).toBeNull();
  });
});

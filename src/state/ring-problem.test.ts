import { expect, it } from 'vitest';
import { RING_FAULT_MEMORY, RING_FAULT_PLACE } from '../../layout/virtqueue.ts';
import { attachProblem, RingFaultError, ringProblem } from './ring-problem.ts';

it('identifies a ring fault by its number, whatever the words', () => {
  const lost = ringProblem(RING_FAULT_PLACE);
  expect(attachProblem(new RingFaultError(RING_FAULT_PLACE))).toEqual(lost);
  const sameWords = attachProblem(new Error(lost.reason));
  expect(sameWords.fault).toBe(RING_FAULT_MEMORY);
});

it('reports any other failure of a processor as memory that cannot be mapped', () => {
  expect(attachProblem(new Error('mmap failed: ENOMEM'))).toEqual({
    fault: RING_FAULT_MEMORY,
    reason: 'its memory cannot be mapped: mmap failed: ENOMEM',
  });
});

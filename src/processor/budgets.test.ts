import { describe, expect, it } from 'vitest';
import { OperatorError } from '../errors.ts';
import {
  Budget,
  checkAddressSpace,
  descriptorQuota,
  mappingsOfProcessor,
  takeProcessorMappings,
} from './budgets.ts';

const GIB = 2 ** 30;

describe('a budget', () => {
  it('gives all or nothing, and takes back what was given', () => {
    const budget = new Budget(10);
    expect(budget.take(7)).toBe(true);
    expect(budget.take(4)).toBe(false);
    expect(budget.left).toBe(3);
    budget.give(7);
    expect(budget.take(10)).toBe(true);
    expect(() => budget.give(11)).toThrow('assertion');
  });
});

describe('the mappings of processors', () => {
  it('for 16 processors leave most of the kernel’s default of 65530 to rings', () => {
    const budget = new Budget(65530);
    takeProcessorMappings(16, budget);
    expect(budget.left).toBeGreaterThan(30_000);
  });

  it('beyond the limit are an operator error', () => {
    const budget = new Budget(3 * mappingsOfProcessor());
    takeProcessorMappings(1, budget);
    expect(() => takeProcessorMappings(3, budget)).toThrow(
      expect.objectContaining({
        code: 'HEDDLE_MAPPINGS',
        hint: expect.stringContaining('max_map_count'),
      }),
    );
    expect(budget.left).toBe(2 * mappingsOfProcessor());
  });
});

describe('the address space', () => {
  it.each([10, 20, 34, 38, 60])('of %s GiB is refused as too small', (limit) => {
    expect(() => checkAddressSpace(1, limit * GIB)).toThrow(OperatorError);
    expect(() => checkAddressSpace(1, limit * GIB)).toThrow(/address space.*received \d+ GiB/);
  });

  it('suffices without a limit, and for one processor from about 75 GiB on', () => {
    expect(() => checkAddressSpace(16, Infinity)).not.toThrow();
    expect(() => checkAddressSpace(1, 75 * GIB)).not.toThrow();
    expect(() => checkAddressSpace(2, 75 * GIB)).toThrow(OperatorError);
  });
});

describe('the descriptors of a VF', () => {
  it('are an equal share of the limit', () => {
    expect(descriptorQuota({ functions: 4, queuePairs: 1 }, 4256)).toBe(1000);
    expect(descriptorQuota({ functions: 256, queuePairs: 1 }, Infinity)).toBe(Infinity);
  });

  it('are never fewer than a VM needs', () => {
    expect(descriptorQuota({ functions: 256, queuePairs: 1 }, 1024)).toBe(32 + 9);
    expect(descriptorQuota({ functions: 256, queuePairs: 16 }, 1024)).toBe(32 + 99);
  });
});

import { describe, expect, test } from 'vitest';
import type { Sample, SuiteName } from './sample.ts';
import { judge } from './thresholds.ts';

function sample(suite: SuiteName, workload: string, metric: string, peer: string): Sample {
  return {
    ...{ suite, workload, metric, peer, round: 0, x: null, unit: '', value: 1 },
    ...{ isDisturbed: false, switchCores: null, generatorCores: null },
  };
}

const forward = (peer: string, value: number, round = 0): Sample => {
  return { ...sample('forward', '64 B', 'rate', peer), value, round };
};

function verdictOf(samples: readonly Sample[], promise: RegExp) {
  const found = judge(samples, 'full').filter((verdict) => promise.test(verdict.promise));
  expect(found).toHaveLength(1);
  return found[0]!;
}

describe('promises', () => {
  const small = /^forward 64 B, rate against ovs-dpdk/;

  test('are met at exactly their value, and not below', () => {
    const at = (value: number) =>
      verdictOf([forward('heddle', value), forward('ovs-dpdk', 10)], small).judgement;
    expect(at(13)).toBe('met');
    expect(at(12.9)).toBe('not met');
  });
  test('have aims, which are reached or not', () => {
    const at = (value: number) =>
      verdictOf([forward('heddle', value), forward('ovs-dpdk', 10)], small).isAimMet;
    expect(at(20)).toBe(true);
    expect(at(19)).toBe(false);
  });
  test('are not judged when most rounds were disturbed', () => {
    const rounds = [0, 1, 2].flatMap((round) => [
      forward('heddle', 30, round),
      { ...forward('ovs-dpdk', 10, round), isDisturbed: round > 0 },
    ]);
    expect(verdictOf(rounds, small)).toMatchObject({ judgement: 'not judged', isAimMet: null });
    const calm = rounds.map((one) => ({ ...one, isDisturbed: one.round > 1 && one.isDisturbed }));
    expect(verdictOf(calm, small).judgement).toBe('met');
  });
  test('are listed even if nothing was measured for them', () => {
    const verdicts = judge([], 'full');
    expect(verdicts.length).toBeGreaterThan(10);
    expect(new Set(verdicts.map(({ judgement }) => judgement))).toEqual(new Set(['not measured']));
  });
  test('concern Heddle: no other pair of peers counts', () => {
    const samples = [forward('ovs-dpdk', 10), forward('testpmd-vhost', 1)];
    expect(verdictOf(samples, small).judgement).toBe('not measured');
  });
  test('with an upper bound are met at exactly that value, and not above', () => {
    const memory = sample('scale', 'VF 3 to 64', 'memory per VF', 'heddle');
    const at = (value: number) => verdictOf([{ ...memory, value }], /memory per VF/).judgement;
    expect(at(1024)).toBe('met');
    expect(at(1025)).toBe('not met');
  });
  test('64 VFs are compared with 2 of the same round', () => {
    const rate = (count: number, round: number, value: number) => {
      return { ...sample('scale', `${count} VFs`, 'total rate', 'heddle'), round, value };
    };
    const samples = [rate(2, 0, 10), rate(64, 0, 9), rate(2, 1, 20), rate(64, 1, 18)];
    const verdict = verdictOf(samples, /64 VFs against 2 VFs/);
    expect(verdict).toMatchObject({ judgement: 'met', isAimMet: false });
    expect(verdict.measured).toContain('0.90');
  });
  test('the short profile has its own promises', () => {
    const samples = [forward('heddle', 9), forward('ovs-dpdk', 10)];
    expect(judge(samples, 'smoke').map(({ judgement }) => judgement)).toEqual([
      'met',
      'not measured',
      'not measured',
    ]);
  });
  test('of many rows, the worst counts, whichever round was its middle', () => {
    const row = (workload: string, values: readonly number[]) =>
      values.map((value, round) => {
        return { ...sample('sharing', workload, 'rate error', 'heddle'), value, round };
      });
    const good = row('txMax 10 Mbit, 64 B', [0.1, 0.1, 9]);
    const bad = row('txMax 1 Gbit, 64 B', [0.1, 2, 3]);
    expect(verdictOf(good, /txMax, rate error/).judgement).toBe('met');
    expect(verdictOf([...good, ...bad], /txMax, rate error/)).toMatchObject({
      judgement: 'not met',
      measured: expect.stringContaining('2.00'),
    });
  });
  test('the cost of limits is judged by the lower end of its interval', () => {
    const workloads = ['64 B, no limits', '64 B, limits on all VFs'] as const;
    const rounds = (ratios: readonly number[]) =>
      ratios.flatMap((ratio, round) => [
        { ...sample('sharing', workloads[0], 'rate', 'heddle'), value: 10, round },
        { ...sample('sharing', workloads[1], 'rate', 'heddle'), value: 10 * ratio, round },
      ]);
    const promise = /limits on all VFs against 64 B, no limits/;
    expect(verdictOf(rounds([1, 1, 1, 1, 1, 0.89]), promise).judgement).toBe('not met');
    expect(verdictOf(rounds([1, 1, 1, 1, 1, 0.91]), promise).judgement).toBe('met');
    // Five rounds have no interval.
    expect(verdictOf(rounds([1, 1, 1, 1, 1]), promise).judgement).toBe('not measured');
  });
  test('the profile sharing lists only what it measures or owes', () => {
    const verdicts = judge([], 'sharing');
    expect(new Set(verdicts.map(({ suite }) => suite))).toEqual(new Set(['sharing']));
  });
});

import { expect, test } from 'vitest';
import type { Sample } from '../sample.ts';
import { renderSharing } from './sharing-table.ts';

function sample(peer: string, round: number, metric: string, value: number): Sample {
  return {
    ...{ suite: 'sharing', workload: 'four VFs', x: null, peer, round, metric, value, unit: '%' },
    ...{ isDisturbed: false, switchCores: 1, generatorCores: 1 },
  };
}

test('what belongs together is one row: error, index, p99, utilisation', () => {
  const rows = renderSharing([
    sample('heddle', 0, 'rate error', 0.25),
    sample('heddle', 1, 'rate error', 0.75),
    sample('heddle', 0, 'utilisation', 99.5),
    sample('heddle', 0, 'p99.9', 12),
    sample('ovs-dpdk', 0, 'rate error', 3),
  ]).split('\n');
  expect(rows[2]).toBe(
    '| four VFs | heddle | 0.50 % (0.25 … 0.75) | – | – | 99.50 % | p99.9 12 % | 2 |',
  );
  expect(rows[3]).toBe('| four VFs | ovs-dpdk | 3 % | – | – | – | – | 1 |');
});

test('a round whose rings were empty is void, not merely disturbed', () => {
  const empty = { isDisturbed: true, isVoid: true };
  const rows = renderSharing([
    { ...sample('heddle', 0, 'rate error', 1), ...empty },
    { ...sample('heddle', 1, 'rate error', 1), isDisturbed: true },
    sample('heddle', 2, 'rate error', 1),
  ]);
  expect(rows).toContain('| 3, **1 void**, 1 disturbed |');
});

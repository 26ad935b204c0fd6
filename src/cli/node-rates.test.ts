import { expect, it } from 'vitest';
import { completeNic } from '../config/validate.ts';
import type { NicStats } from '../nic/types.ts';
import type { AccountStats } from '../state/accounts.ts';
import { ratesBetween, ratesText } from './node-rates.ts';

const config = completeNic({
  capacity: '40G',
  groups: [{ name: 'gold', txShare: '5G', txMax: '20G', txWeight: 4 }],
  vfs: [
    {
      ...{ name: 'vm1', socket: '/s/1', group: 'gold', txShare: '1G', txMax: '5G' },
      ...{ txMaxPackets: '1M', rxMaxPackets: '2M' },
    },
    { name: 'vm2', socket: '/s/2' },
  ],
});

function account(bytes: number): AccountStats {
  const times = { workNanoseconds: bytes, heldNanoseconds: bytes * 3 };
  return { bytes, packets: bytes / 100, ...times, guaranteedBytes: bytes / 2 };
}

/** The readings that `heddle rate` takes of these names. */
function reading(uptimeSeconds: number, bytes: number, vfs: string[]): NicStats {
  const of = (name: string) => ({ name, account: account(bytes) });
  const ports = { vfs: vfs.map(of), uplinks: [], processors: [] };
  const stats = { name: 'nic0', uptimeSeconds, account: account(bytes), groups: [of('gold')] };
  return { ...stats, ...ports } as unknown as NicStats;
}

const before = reading(10, 0, ['vm1']);
const now = reading(12, 2e8, ['vm1', 'vm2']);

it('rates are what was sent between two readings, by the clock of the NIC', () => {
  const [nic, gold, vm1, vm2] = ratesBetween(before, now, config);
  expect(nic).toMatchObject({ name: 'nic0', kind: 'nic', txMax: 40e9, bitsPerSecond: 8e8 });
  expect(gold).toMatchObject({ kind: 'group', parent: 'none', txWeight: 4 });
  expect(vm1).toEqual({
    ...{ name: 'vm1', kind: 'vf', parent: 'gold', txShare: 1e9, txMax: 5e9, txWeight: 1 },
    ...{ txPriority: 0, txBurst: 0, txMaxPackets: 1e6, rxMax: 0, rxMaxPackets: 2e6 },
    ...{ bitsPerSecond: 8e8, packetsPerSecond: 1e6, workPercent: 10, heldPercent: 30 },
    guaranteedBitsPerSecond: 4e8,
  });
  // Its account began after the first reading.
  expect(vm2).toMatchObject({ name: 'vm2', parent: 'none', bitsPerSecond: 8e8 });
});

it('a VF that has gone is left out', () => {
  const names = ratesBetween(now, reading(13, 2e8, []), config).map(({ name }) => name);
  expect(names).toEqual(['nic0', 'gold']);
});

it('people get a table', () => {
  expect(ratesText(ratesBetween(before, now, config))).toBe(
    [
      'NAME  KIND   IN    SHARE  MAX                  WEIGHT  PRIORITY  RX MAX        MBIT/S  PACKETS/S  TIME    HELD',
      'nic0  nic    -     -      40Gbit               -       -         -             800.00    1000000  10.0 %  30.0 %',
      'gold  group  none  5Gbit  20Gbit               4       0         -             800.00    1000000  10.0 %  30.0 %',
      'vm1   vf     gold  1Gbit  5Gbit, 1M packets/s  1       0         2M packets/s  800.00    1000000  10.0 %  30.0 %',
      'vm2   vf     none  none   none                 1       0         none          800.00    1000000  10.0 %  30.0 %',
    ].join('\n'),
  );
});

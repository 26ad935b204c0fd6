import { expect, it } from 'vitest';
import { netConfigSpace } from './config-space.ts';

it('has every field where the specification puts it', () => {
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
  const settings = { mac, isLinkUp: true, queuePairs: 1, mtu: 1500 };
  const space = netConfigSpace(settings);
  const [status, pairs, mtu] = [
    [1, 0],
    [1, 0],
    [0xdc, 0x05],
  ] as const;
  const speed = [0x10, 0x27, 0, 0, 1];
  const rss = [40, 128, 0, 0x3f, 0, 0, 0];
  const end = [0, 0, 0, 0];
  expect([...space.subarray(0, 28)]).toEqual([
    ...mac,
    ...status,
    ...pairs,
    ...mtu,
    ...speed,
    ...rss,
    ...end,
  ]);
  expect(space.length).toBe(256);
  expect(netConfigSpace({ ...settings, isLinkUp: false })[6]).toBe(0);
});

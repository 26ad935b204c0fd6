import { afterAll, expect, test } from 'vitest';
import { PIN_CELL_SIZE, PINS_SIZE } from '../../layout/memory.ts';
import { openFdCount } from '../../test/support/file-descriptors.ts';
import { completeUplink } from '../config/validate.ts';
import { PinAllocator } from '../memory/pins.ts';
import { Raiser } from '../os/raiser.ts';
import { Budget } from '../processor/budgets.ts';
import { SharedState } from '../state/shared-state.ts';
import { Uplink } from './running-uplink.ts';
import type { UplinkSource } from './uplink.ts';

const shared = new SharedState();
afterAll(() => shared.close());

const source: UplinkSource = {
  start: async () => undefined,
  lose: () => undefined,
  release: () => undefined,
  stop: async () => undefined,
  save: () => ({}),
  restore: () => null,
  handOver: () => undefined,
};

test('an uplink without room for its queues is an operator error and leaks nothing', async () => {
  const pins = new PinAllocator();
  pins.allocate(PINS_SIZE / 2, PIN_CELL_SIZE);
  const before = { cells: pins.usedCells, descriptors: openFdCount() };
  const fabric = {
    shared,
    pins,
    raiser: new Raiser(shared.fd),
    mappings: new Budget(1000),
    processorCount: 1,
    healthOf: () => ({ state: 'running' as const }),
    broadcast: async () => undefined,
    post: async () => true,
  };
  const place = { number: 0, port: 0, processor: 0, ringBlock: { first: 0, count: 8 } };
  const open = (queues: number): Promise<void> => {
    const config = completeUplink({ name: 'up', type: 'tap', interface: 'tap0', queues });
    const uplink = new Uplink(
      config,
      place,
      fabric,
      source,
      () => undefined,
      () => undefined,
    );
    return uplink.open();
  };
  for (let uplinks = 0; uplinks < 6; uplinks++) await open(4);
  const full = { cells: pins.usedCells, descriptors: openFdCount() };
  await expect(open(4)).rejects.toMatchObject({
    code: 'HEDDLE_UPLINK_ROOM',
    message: expect.stringContaining('received 4 more on up'),
  });
  expect({ cells: pins.usedCells, descriptors: openFdCount() }).toEqual(full);
  expect(full.cells).toBeGreaterThan(before.cells);
});

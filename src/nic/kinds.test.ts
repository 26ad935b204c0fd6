import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { PinAllocator } from '../memory/pins.ts';
import { Poller } from '../os/poller.ts';
import { Raiser } from '../os/raiser.ts';
import { Budget, descriptorQuota } from '../processor/budgets.ts';
import type { ProcessorSet } from '../processor/processor-set.ts';
import { SharedState } from '../state/shared-state.ts';
import { createRngs } from './kinds.ts';
import { Places } from './places.ts';

it('the descriptor share of an entropy device depends on the number of functions of all kinds', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'heddle-rng-'));
  const shared = new SharedState();
  const poller = new Poller();
  const fabric = {
    shared,
    pins: new PinAllocator(),
    raiser: new Raiser(shared.fd),
    mappings: new Budget(1000),
    processorCount: 1,
    healthOf: () => ({ state: 'running' as const }),
    broadcast: async () => undefined,
    post: async () => true,
  };
  const places = new Places({ shared, leastLoaded: () => 0 } as unknown as ProcessorSet);
  let functions = 2;
  const around = { fabric, places, poller, functionCount: () => functions };
  const set = createRngs(around, () => undefined);
  const socket = join(directory, 'rng.sock');
  await set.add({ name: 'rng', socket, mode: 'server', allowUnsealedMemory: false });
  for (functions of [1, 2, 50]) {
    const share = descriptorQuota({ functions, queuePairs: 1 });
    expect(set.find('rng')?.descriptorQuota).toBe(share);
  }
  await set.remove('rng');
  poller.close();
  fabric.raiser.close();
  shared.close();
  rmSync(directory, { recursive: true });
});

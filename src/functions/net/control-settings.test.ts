import { describe, expect, it } from 'vitest';
import { Random } from '../../testing/random.ts';
import { ControlSettings } from './control-settings.ts';

function changed(seed: number): ControlSettings {
  const random = new Random(seed);
  const settings = new ControlSettings();
  const some = () => ({ packets: random.below(64), microseconds: random.below(1000) });
  const key = Uint8Array.from({ length: 40 }, () => random.below(256));
  if (random.chance(0.7)) settings.hashing = { types: random.below(512), key };
  if (random.chance(0.5)) settings.table = { pairs: [1, 0, random.below(8)], unclassified: 1 };
  if (random.chance(0.5)) settings.mac = key.slice(0, 6);
  if (random.chance(0.5)) settings.guestOffloads = BigInt(random.next());
  settings.queuePairs = random.between(1, 8);
  settings.isPromiscuous = random.chance(0.5);
  settings.isAllMulticast = random.chance(0.5);
  settings.filteredAddresses = random.below(100);
  settings.setCoalescing('receive', some());
  settings.setCoalescing('transmit', some());
  for (let queue = 0; queue < random.below(6); queue++) settings.setCoalescingOf(queue, some());
  return settings;
}

describe('what a guest has set', () => {
  it('is the same after it was saved and restored', () => {
    for (let seed = 0; seed < 200; seed++) {
      const state = changed(seed).save();
      const settings = changed(seed + 1000); // nothing of these earlier settings may remain
      settings.restore(structuredClone(state));
      expect(settings.save(), `seed ${seed}`).toEqual(state);
    }
  });

  it('does not affect what was saved earlier', () => {
    const settings = changed(1);
    const state = settings.save();
    const copy = structuredClone(state);
    settings.setCoalescing('receive', { packets: 99, microseconds: 99 });
    settings.hashing?.key.fill(0);
    settings.reset();
    expect(state).toEqual(copy);
  });
});

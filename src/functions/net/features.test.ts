import { describe, expect, it } from 'vitest';
import { VIRTIO_F_RING_RESET } from '../../../layout/virtio.ts';
import { featureNames, isAcceptable, offeredFeatures, SWITCHABLE_FEATURES } from './features.ts';

const bit = (number: number) => 1n << BigInt(number);

describe('what a VF offers', () => {
  it.each(Object.entries(SWITCHABLE_FEATURES))(
    'includes %s (bit %i), unless it is disabled',
    (name, number) => {
      const all = offeredFeatures();
      expect(all & bit(number)).toBe(bit(number));
      const without = offeredFeatures({ disabledFeatures: [name] });
      expect(without & bit(number)).toBe(0n);
      expect(isAcceptable(bit(number), all)).toBe(true);
      // Disabling the control queue also disables what is configured through it.
      const gone = featureNames(all & ~without);
      if (name === 'CTRL_VQ') expect(gone).toContain(name);
      else expect(gone).toEqual([name]);
    },
  );

  it('is only what cannot be disabled, once everything else is disabled', () => {
    const disabledFeatures = Object.keys(SWITCHABLE_FEATURES);
    const names = featureNames(offeredFeatures({ disabledFeatures }));
    expect(names).toEqual(['MAC', 'STATUS', 'ANY_LAYOUT', 'PROTOCOL_FEATURES', 'VERSION_1']);
  });

  it('excludes ACCESS_PLATFORM for a front-end without a back-end channel', () => {
    const offered = offeredFeatures({}, { keepsConfigSpace: false, hasChannel: false });
    expect(featureNames(offeredFeatures() & ~offered)).toEqual(['ACCESS_PLATFORM']);
    const wanted = { enabledFeatures: ['ACCESS_PLATFORM'] };
    const told = offeredFeatures(wanted, { keepsConfigSpace: false, hasChannel: false });
    expect(told).toBe(offeredFeatures());
  });

  it('excludes RING_RESET by default, because QEMU offers it but does not report resets', () => {
    expect(offeredFeatures() & bit(VIRTIO_F_RING_RESET)).toBe(0n);
    expect(isAcceptable(bit(VIRTIO_F_RING_RESET), offeredFeatures())).toBe(false);
    const told = offeredFeatures({ enabledFeatures: ['RING_RESET'] });
    expect(featureNames(told & ~offeredFeatures())).toEqual(['RING_RESET']);
    expect(isAcceptable(bit(VIRTIO_F_RING_RESET), told)).toBe(true);
  });
});

describe('features', () => {
  const offered = offeredFeatures();

  it('are acceptable as offered, or fewer', () => {
    expect(isAcceptable(offered, offered)).toBe(true);
    expect(isAcceptable(0n, offered)).toBe(true);
  });

  it('are not acceptable with more bits, except those of the control queue', () => {
    const extra: number[] = [];
    for (let bit = 0; bit < 64; bit++) {
      const isOffered = ((offered >> BigInt(bit)) & 1n) === 1n;
      const isTaken = isAcceptable(1n << BigInt(bit), offered);
      if (isOffered) expect(isTaken, `bit ${bit}`).toBe(true);
      else if (isTaken) extra.push(bit);
    }
    expect(featureNames(extra.reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n))).toEqual(
      extra.length === 0 ? [] : expect.arrayContaining(['CTRL_VQ']),
    );
  });

  it('that a VF has disabled are neither offered nor acceptable', () => {
    const fewer = offeredFeatures({ disabledFeatures: ['MRG_RXBUF'] });
    expect(offered & ~fewer).toBe(1n << 15n);
    expect(isAcceptable(1n << 15n, fewer)).toBe(false);
  });

  it('have the names that users see', () => {
    expect(featureNames((1n << 32n) | (1n << 15n))).toEqual(['MRG_RXBUF', 'VERSION_1']);
    const count = [...offered.toString(2)].filter((digit) => digit === '1').length;
    expect(featureNames(offered).length, 'every offered bit has a name').toBe(count);
  });
});

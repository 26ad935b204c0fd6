import { afterEach, describe, expect, it } from 'vitest';
import { BATCH_MAX } from '../../layout/limits.ts';
import type { VlanSettings } from '../../src/state/vlan.ts';
import { BROADCAST } from '../../src/testing/frames.ts';
import type { GuestOptions } from '../../src/testing/guest-queues.ts';
import { Random } from '../../src/testing/random.ts';
import { ALL_FEATURES } from '../offload/feature-sets.ts';
import { OffloadWire } from '../offload/offload-wire.ts';
import { difference, FINISHED, packet, superPacket } from '../offload/packets.ts';
import { seedFromEnvironment } from '../support/seed.ts';
import { CUSTOMER, outerControl, SERVICE, tag, taggedFrame } from './tags.ts';

describe('a misleading tag', () => {
  let wire: OffloadWire | undefined;
  afterEach(() => wire?.close());

  function start(settings: readonly VlanSettings[], options: GuestOptions = {}): OffloadWire {
    wire = new OffloadWire(settings.map(() => ({ features: ALL_FEATURES, ...options })));
    wire.postAll();
    for (const [number, one] of settings.entries()) wire.host.setVlans(number, one);
    return wire;
  }

  it('leaves no runt when it is popped', () => {
    const lab = start([{ trunk: [10] }, { access: 10 }]);
    const whole = taggedFrame({
      to: lab.mac(1),
      from: lab.mac(0),
      tags: [tag(10)],
      payloadLength: 0,
    });
    for (const layout of ['shared', 'split', 'random'] as const) {
      for (const length of [14, 15, 16, 17]) lab.send(0, whole.subarray(0, length), layout);
      lab.send(0, whole, layout);
    }
    lab.run();
    const bare = taggedFrame({ to: lab.mac(1), from: lab.mac(0), payloadLength: 0 });
    expect(difference(lab.received(1), [bare, bare, bare])).toBe('');
    expect(lab.allDrops(0)).toEqual({ 'tx.runt': 12 });
  });

  it('does not hop into another VLAN through a second tag: each trunk reads the right one', () => {
    const native = { trunk: [10, 20], native: 10 };
    const lab = start([native, native, { access: 20 }, { access: 10 }]);
    // If the second trunk popped it, the inner tag would be its VLAN.
    const sent = { to: BROADCAST, from: lab.mac(0), tags: [tag(10), tag(20)] };
    lab.send(0, taggedFrame(sent));
    lab.run();
    expect(difference(lab.received(1), [taggedFrame(sent)])).toBe('');
    expect(lab.received(2)).toEqual([]);
    const inner = taggedFrame({ ...sent, tags: [tag(20)] });
    expect(difference(lab.received(3), [inner])).toBe(''); // an access port reads no tags
  });

  it('of another protocol is payload, and cannot pass for the VLAN on a native port', () => {
    const outer = { access: 10, protocol: '802.1ad' } as const;
    const lab = start([outer, { trunk: [10, 20], native: 10 }, { access: 20 }]);
    const sent = { to: BROADCAST, from: lab.mac(0), tags: [tag(20, 3)] };
    lab.send(0, taggedFrame(sent));
    lab.run();
    const wanted = taggedFrame({ ...sent, tags: [tag(10), tag(20, 3)] });
    expect(difference(lab.received(1), [wanted])).toBe('');
    expect(lab.received(2)).toEqual([]);
  });

  it('is dropped if a checksum starts inside it: popping would make the offset wrong', () => {
    const lab = start([{ trunk: [10] }, { access: 10 }, { trunk: [10] }]);
    const { frame, header } = packet({
      ...{ to: BROADCAST, from: lab.mac(0), tags: [tag(10)] },
      ...{ version: 4, transport: 'udp', payloadLength: 100 },
    });
    const at = (checksumStart: number, checksumOffset: number) =>
      lab.sendPacket(0, {
        ...{ frame, l3: 0, l4: 0, payload: 0 },
        header: { ...header, checksumStart, checksumOffset },
      });
    for (const start of [14, 15, 17]) at(start, 4);
    at(18, 0);
    lab.run();
    expect(lab.allDrops(0)).toEqual({ 'tx.checksumField': 3 });
    expect(lab.arrivals(1).map((one) => one.header.checksumStart)).toEqual([14]);
    expect(lab.arrivals(2).map((one) => one.header.checksumStart)).toEqual([18]);
  });

  it('adjusts hdr_len, or clears it if it does not fit', () => {
    const options = { frameSizeMax: 65_600, slots: 8 };
    const lab = start([{ access: 10 }, { trunk: [10] }, { access: 10 }], options);
    const to = { to: BROADCAST, from: lab.mac(0) };
    const made = packet({ ...to, version: 4, transport: 'tcp', payloadLength: 65_490 });
    for (const [headerLength, moved] of [
      [0, 0],
      [1, 5],
      [65_531, 65_535],
      [65_532, 0], // no longer fits into the field
    ]) {
      lab.sendPacket(0, { ...made, header: { ...made.header, headerLength: headerLength ?? 0 } });
      lab.run();
      const hints = [1, 2].map((to) => lab.arrivals(to).map((one) => one.header.headerLength));
      expect(hints).toEqual([[moved], [headerLength]]);
    }
    const finished = { ...made, header: { ...FINISHED, headerLength: 54, checksumStart: 99 } };
    lab.sendPacket(0, finished);
    lab.run();
    expect(lab.arrivals(1).map((one) => one.header)).toEqual([FINISHED]);
  });

  it.each([
    ['a tag', [tag(10, 1)], [tag(10, 1)]],
    ['no tag', [], [tag(10)]],
  ])('that is overwritten by %s between decision and copy does not count', (_, sent, heard) => {
    const lab = start([{ trunk: [10], native: 10 }, { trunk: [10, 30] }]);
    const to = { to: lab.mac(1), from: lab.mac(0) };
    const frame = taggedFrame({ ...to, tags: sent });
    const { memory } = lab.guest(0);
    const area = memory.allocate(12 + frame.length);
    memory.bytes.set(frame, area.offset + 12);
    const { transmit } = lab.guest(0).pair(0);
    transmit.sendSpan(area.address, 12 + frame.length);
    transmit.ring.publish();
    // The batch waits for a window onto the receiver: it has been classified, but not copied.
    while (lab.host.firmware.isMidBatch() === 0) lab.host.turn();
    memory.bytes.set([0x81, 0x00, 0x00, 30], area.offset + 12 + 12);
    lab.run();
    const [arrived] = lab.received(1);
    expect([outerControl(arrived as Uint8Array), heard[0]?.control]).toEqual(
      Array(2).fill(heard[0]?.control),
    );
  });

  it('can fill batch after batch without disturbing other ports', () => {
    const lab = start([{ trunk: 'all', native: 1 }, { access: 10 }, { access: 20 }, {}], {
      queueSize: 256,
    });
    const random = new Random(seedFromEnvironment(5));
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < BATCH_MAX; i++) {
        const types = [CUSTOMER, SERVICE];
        const tags = Array.from({ length: random.below(4) }, () =>
          tag(random.pick([0, 10, 4095, 30]), random.below(8), random.pick(types)),
        );
        const shape = { to: BROADCAST, from: lab.mac(0), tags };
        lab.send(0, taggedFrame({ ...shape, payloadLength: random.below(60) }), 'random');
      }
      lab.run();
      for (const frame of lab.received(1)) expect(frame.length).toBeGreaterThanOrEqual(14);
      expect(lab.received(2)).toEqual([]);
      expect(lab.received(3)).toEqual([]);
    }
  });

  it('makes a frame too large when pushed: it is segmented if possible, or else counted', () => {
    const lab = start([{ access: 10 }, { trunk: [10] }], { frameSizeMax: 5100 });
    const to = { to: lab.mac(1), from: lab.mac(0) };
    const shape = { ...to, version: 4, transport: 'tcp', payloadLength: 5046 } as const;
    const whole = superPacket(shape, 1400); // 5100 bytes: 4 too many
    expect(whole.frame.length).toBe(5100);
    lab.sendPacket(0, whole);
    lab.run();
    const arrived = lab.arrivals(1);
    const bytes = arrived.reduce((sum, { frame }) => sum + frame.length - 54 - 4, 0);
    expect(bytes).toBe(5046);
    expect(arrived.every(({ frame }) => outerControl(frame) === 10)).toBe(true);
  });
});

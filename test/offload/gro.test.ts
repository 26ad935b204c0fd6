import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_MRG_RXBUF } from '../../layout/virtio.ts';
import { seedFromEnvironment } from '../support/seed.ts';
import { ALL_FEATURES, PLAIN_FEATURES } from './feature-sets.ts';
import { FORMATS } from './matrix.ts';
import { OffloadWire } from './offload-wire.ts';
import { type Arrival, difference, FINISHED, type Packet } from './packets.ts';
import { finishedFrames } from './reference-frames.ts';
import { finishedTcp, groupsOf, joined } from './reference-gro.ts';
import { burst, CHANGES, type Flow, flow, type Step, step } from './tcp-streams.ts';

const SEED = seedFromEnvironment(5);
const FRAMES_MAX = 30;
const SMALL_BUFFER = 3000;
const FLOW: Flow = {
  ...{ version: 4, tags: 0, hasTimestamps: true, step: 1 },
  ...{ sequence: 0xffffff00, id: 0xfff0, size: 1000 },
};

// The receivers: with mergeable buffers, with one large buffer per frame, with one that is too
// small for most super-frames, and two that do not accept all super-frames.
const [MERGING, LARGE, SMALL, NO_ECN, PLAIN] = [1, 2, 3, 4, 5];
const WITHOUT_ECN = ALL_FEATURES.filter((feature) => feature !== VIRTIO_NET_F_GUEST_ECN);

/** Placeholders: the positions of the headers are found anew in each arrival. */
const FRAME = { l3: 0, l4: 0, payload: 0 };

describe.each(FORMATS)('GRO into %s rings', (format) => {
  let wire: OffloadWire;

  beforeAll(() => {
    const common = { queueSize: 1024, slots: 130, packed: format === 'packed' };
    const mergeable = { bufferBytesMin: 200, bufferBytesMax: 900, slots: 900 };
    wire = new OffloadWire([
      { ...common, features: ALL_FEATURES, frameSizeMax: 9000 },
      { ...common, ...mergeable, features: [...ALL_FEATURES, VIRTIO_NET_F_MRG_RXBUF] },
      { ...common, features: ALL_FEATURES, frameSizeMax: 65553, slots: 40 },
      { ...common, features: ALL_FEATURES, frameSizeMax: SMALL_BUFFER },
      { ...common, features: WITHOUT_ECN, frameSizeMax: 65553, slots: 40 },
      { ...common, features: PLAIN_FEATURES, frameSizeMax: SMALL_BUFFER },
    ]);
    wire.postAll();
    for (const number of [MERGING, LARGE, SMALL, NO_ECN, PLAIN]) {
      wire.host.setGro(number, true);
      // Opens every window, so that a burst is one batch.
      for (let i = 0; i < 10; i++) {
        send(make(number, [FLOW], steady(FRAMES_MAX)));
        wire.arrivals(number);
      }
    }
  });
  afterAll(() => wire.close());

  function make(to: number, flows: readonly Flow[], steps: readonly Step[]): Packet[] {
    return burst({ to: wire.mac(to), from: wire.mac(0) }, flows, steps);
  }

  function send(packets: readonly Packet[]): void {
    for (const made of packets) wire.sendPacket(0, made);
    wire.run();
  }

  /** What a receiver must get for a burst. */
  function expected(number: number, packets: readonly Packet[]): Arrival[] {
    const room = number === SMALL ? SMALL_BUFFER : 65553;
    const finished = (frame: Uint8Array) => ({ frame, header: FINISHED });
    return groupsOf(packets, number !== NO_ECN).flatMap((group) => {
      const parts = group.map((index) => packets[index] as Packet);
      const [only] = parts as [Packet];
      if (parts.length > 1) {
        const whole = joined(parts);
        return whole.frame.length <= room ? [whole] : parts.map(finishedTcp).map(finished);
      }
      if (only.header.gsoType !== 0 && only.frame.length > room) {
        return finishedFrames(only).map(finished);
      }
      return [{ frame: only.frame, header: only.header }];
    });
  }

  function check(number: number, packets: readonly Packet[]): void {
    send(packets);
    const arrivals = wire.arrivals(number);
    const wanted = expected(number, packets);
    const frames = (list: readonly Arrival[]) => list.map(({ frame }) => frame);
    expect(difference(frames(arrivals), frames(wanted))).toBe('');
    expect(arrivals.map(({ header }) => header)).toEqual(wanted.map(({ header }) => header));
    expect(wire.allDrops(number)).toEqual({});
    wire.guest(number).pair(0).receive.checkIdleBuffers();
  }

  it.each([MERGING, LARGE, SMALL])(
    'equals the reference: guest %i',
    (number) => {
      const bursts = fc.record({
        flows: fc.array(flow, { minLength: 1, maxLength: 4 }),
        steps: fc.array(step, { minLength: 1, maxLength: FRAMES_MAX }),
      });
      fc.assert(
        fc.property(bursts, ({ flows, steps }) => check(number, make(number, flows, steps))),
        { numRuns: 300, seed: SEED },
      );
    },
    120_000,
  );

  it('joined frames can be segmented into the same frames', () => {
    const flows = fc.array(flow, { minLength: 1, maxLength: 3 });
    const steps = fc.array(step, { minLength: 2, maxLength: FRAMES_MAX });
    fc.assert(
      fc.property(flows, steps, (some, few) => {
        // A super-frame can only preserve identifications that count up.
        const counting = some.map((one) => ({ ...one, step: 1 as const }));
        const packets = make(MERGING, counting, few);
        send(packets);
        const arrivals = wire.arrivals(MERGING);
        const cut = arrivals.flatMap(({ frame, header }) =>
          finishedFrames({ ...FRAME, frame, header }),
        );
        const sent = groupsOf(packets).flatMap((group) =>
          group.flatMap((index) => {
            const one = packets[index] as Packet;
            return one.header.gsoType === 0 && group.length > 1
              ? [finishedTcp(one)]
              : finishedFrames(one);
          }),
        );
        expect(difference(cut, sent)).toBe('');
      }),
      { numRuns: 300, seed: SEED },
    );
  }, 120_000);

  it('survives arbitrary headers', () => {
    const mutation = fc.record({
      frame: fc.nat(9),
      at: fc.integer({ min: 12, max: 80 }),
      value: fc.nat(255),
      length: fc.option(fc.integer({ min: 14, max: 90 }), { freq: 9 }),
    });
    const hex = (frames: readonly Uint8Array[]) =>
      frames.map((frame) => Buffer.from(frame).toString('hex')).sort();
    fc.assert(
      fc.property(flow, fc.array(mutation, { maxLength: 4 }), (one, mutations) => {
        const packets = make(MERGING, [{ ...one, step: 1 }], steady(10));
        for (const { frame, at, value, length } of mutations) {
          const made = packets[frame] as Packet;
          if (at < made.frame.length) made.frame[at] = value;
          if (length !== null) packets[frame] = { ...made, frame: made.frame.slice(0, length) };
        }
        send(packets);
        const cut = wire
          .arrivals(MERGING)
          .flatMap(({ frame, header }) => finishedFrames({ ...FRAME, frame, header }));
        expect(hex(cut)).toEqual(hex(packets.map(({ frame }) => frame)));
      }),
      { numRuns: 500, seed: SEED },
    );
  }, 120_000);

  it('counts all frames of a super-frame that finds no room', () => {
    const number = wire.addGuest({
      ...{ features: [...ALL_FEATURES, VIRTIO_NET_F_MRG_RXBUF], packed: format === 'packed' },
      // Each frame could have a buffer, but needs several.
      ...{ bufferBytesMin: 300, bufferBytesMax: 300 },
    });
    wire.host.setGro(number, true);
    wire.post(number, 3);
    send(make(number, [FLOW], steady(20)));
    const rx = wire.host.stats().vfs[number]?.rx;
    expect([rx?.offered, rx?.packets, rx?.groMerged]).toEqual([20, 0, 0]);
    expect(wire.allDrops(number)).toEqual({ 'rx.ringFull': 20 });
  });

  it.each(CHANGES)('a frame in the middle of a flow: %s', (change) => {
    for (const version of [4, 6] as const) {
      const steps = steady(7);
      (steps[3] as Step).change = change;
      for (const number of [LARGE, NO_ECN]) {
        check(number, make(number, [{ ...FLOW, version }], steps));
      }
    }
  });

  it('joins a burst into one super-frame, or into two if 64 KiB are not enough', () => {
    check(MERGING, make(MERGING, [FLOW], steady(FRAMES_MAX)));
    const large = make(LARGE, [{ ...FLOW, size: 8900 }], steady(10));
    expect(groupsOf(large).map(({ length }) => length)).toEqual([7, 3]);
    check(LARGE, large);
  });

  it.each([
    { title: 'removed', sender: { trunk: [7] }, receiver: { access: 7 }, tags: [1, 0] },
    { title: 'added', sender: { access: 7 }, receiver: { trunk: [7] }, tags: [0, 1] },
    { title: 'kept', sender: { trunk: [7] }, receiver: { trunk: [7] }, tags: [1, 1] },
  ])('joins frames whose VLAN tag is $title', ({ sender, receiver, tags: [before, after] }) => {
    wire.host.setVlans(0, sender);
    for (const number of [MERGING, SMALL]) {
      wire.host.setVlans(number, receiver);
      const tagged = (tags: number | undefined) =>
        make(number, [{ ...FLOW, tags: tags ?? 0 }], steady(FRAMES_MAX));
      const joinedBefore = wire.host.stats().vfs[number]?.rx.groMerged ?? 0;
      send(tagged(before));
      const arrivals = wire.arrivals(number);
      const wanted = expected(number, tagged(after));
      const frames = (list: readonly Arrival[]) => list.map(({ frame }) => frame);
      expect(difference(frames(arrivals), frames(wanted))).toBe('');
      expect(arrivals.map(({ header }) => header)).toEqual(wanted.map(({ header }) => header));
      const joinedAfter = wire.host.stats().vfs[number]?.rx.groMerged ?? 0;
      expect(joinedAfter - joinedBefore).toBe(FRAMES_MAX - 1);
      wire.host.setVlans(number, {});
    }
    wire.host.setVlans(0, {});
  });

  it('counts joined frames separately from those that arrive', () => {
    const before = wire.host.stats().vfs[LARGE]?.rx;
    check(LARGE, make(LARGE, [FLOW], steady(FRAMES_MAX)));
    const after = wire.host.stats().vfs[LARGE]?.rx;
    const grown = (key: 'offered' | 'groMerged' | 'packets') =>
      (after?.[key] ?? 0) - (before?.[key] ?? 0);
    expect(['offered', 'groMerged', 'packets'].map((key) => grown(key as 'offered'))).toEqual([
      FRAMES_MAX,
      FRAMES_MAX - 1,
      1,
    ]);
  });

  it('does not change frames for a guest that accepts no super-frames or has GRO off', () => {
    const plain = make(PLAIN, [FLOW], steady(FRAMES_MAX));
    send(plain);
    const frames = wire.arrivals(PLAIN).map(({ frame }) => frame);
    expect(
      difference(
        frames,
        plain.map(({ frame }) => frame),
      ),
    ).toBe('');
    wire.host.setGro(LARGE, false);
    const packets = make(LARGE, [FLOW], steady(FRAMES_MAX));
    send(packets);
    expect(wire.arrivals(LARGE).length).toBe(FRAMES_MAX);
    wire.host.setGro(LARGE, true);
  });
});

/** Consecutive frames of one flow. */
function steady(count: number): Step[] {
  return Array.from({ length: count }, () => ({ flow: 0, share: 1, change: 'none' }));
}

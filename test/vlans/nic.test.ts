import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { VlanSettings } from '../../src/state/vlan.ts';
import { BROADCAST } from '../../src/testing/frames.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import { Random } from '../../src/testing/random.ts';
import { ALL_FEATURES, PLAIN_FEATURES } from '../offload/feature-sets.ts';
import { netHeaderBytes, superPacket } from '../offload/packets.ts';
import { finishedFrames } from '../offload/reference-frames.ts';
import { seedFromEnvironment } from '../support/seed.ts';
import { TestNic } from '../support/test-nic.ts';
import { CUSTOMER, outerControl, outerType, tag, taggedFrame } from './tags.ts';

const FRAME_SIZE_MAX = 65_560;

describe('a NIC whose ports are in VLANs', () => {
  let lab: TestNic;
  let guests: MockGuest[];
  let heard: Buffer[][];

  beforeEach(async () => {
    lab = await TestNic.start({ vfs: 4, processors: 2 });
    guests = [];
    heard = [[], [], [], []];
  });
  afterEach(() => lab.close());

  async function connect(number: number, features: readonly number[]): Promise<void> {
    const onFrame = (frame: Uint8Array) => heard[number]?.push(Buffer.from(frame));
    const options = { features, onFrame, frameSizeMax: FRAME_SIZE_MAX, slots: 16 };
    guests[number] = await lab.connect(number, options);
  }

  async function configure(...settings: VlanSettings[]): Promise<void> {
    for (const [number, vlan] of settings.entries()) await lab.nic.setVf(`vf${number}`, { vlan });
  }

  async function send(from: number, frame: Uint8Array, header?: Uint8Array): Promise<Buffer[][]> {
    for (const list of heard) list.length = 0;
    const guest = guests[from] as MockGuest;
    expect(guest.queues.pair(0).transmit.trySend(frame, 'random', header)).toBe(true);
    guest.flush();
    await guest.waitTransmitted();
    for (const one of guests) one?.poll();
    return heard;
  }

  /** The guests that receive a broadcast. */
  async function reach(from: number, vlan?: number): Promise<number[]> {
    const tags = vlan === undefined ? [] : [tag(vlan)];
    const frames = await send(from, taggedFrame({ to: BROADCAST, from: lab.mac(from), tags }));
    return frames.flatMap((list, number) => (list.length > 0 ? [number] : []));
  }

  it('connects guests with and without tags in both directions, with super-frames', async () => {
    for (const [number, features] of [ALL_FEATURES, PLAIN_FEATURES, ALL_FEATURES].entries()) {
      await connect(number, features);
    }
    await configure({ access: 10 }, { trunk: [10, 20] }, { trunk: [10], native: 10 });
    const sent = (from: number, tags: Parameters<typeof tag>[0][], payloadLength = 20_000) =>
      superPacket(
        {
          ...{ to: BROADCAST, from: lab.mac(from), tags: tags.map((vlan) => tag(vlan)) },
          ...{ version: 4, transport: 'tcp', payloadLength },
        },
        1400,
      );
    const [bare, tagged] = [sent(0, []), sent(0, [10])];
    await send(0, bare.frame, netHeaderBytes(bare.header));
    expect(heard[2]).toEqual([Buffer.from(bare.frame)]);
    expect(heard[1]).toEqual(finishedFrames(tagged).map((frame) => Buffer.from(frame)));
    const back = sent(2, [10]);
    const popped = sent(2, []);
    await send(2, back.frame, netHeaderBytes(back.header));
    expect(heard[0]).toEqual([Buffer.from(popped.frame)]);
    expect(heard[1]).toEqual(finishedFrames(back).map((frame) => Buffer.from(frame)));
    await lab.untilBalanced();
    lab.checkGuests();
  });

  it('moves a running port, with its own address and those behind it', async () => {
    for (const number of [0, 1, 2, 3]) await connect(number, ALL_FEATURES);
    expect(await reach(0)).toEqual([1, 2, 3]);
    await configure({ access: 10 }, { access: 10 }, { access: 20 });
    expect(await reach(0)).toEqual([1]);
    expect(await reach(3)).toEqual([]);
    const of = (number: number) =>
      lab.nic.fdb().flatMap(({ vf, vlan }) => (vf === `vf${number}` ? [vlan] : []));
    expect([0, 1, 2, 3].map(of)).toEqual([[10], [10], [20], [undefined]]);
    const stranger = '02:11:22:33:44:55';
    await send(1, taggedFrame({ to: BROADCAST, from: stranger }));
    expect(of(1)).toEqual([10, 10]);
    expect((await lab.nic.setVf('vf1', { vlan: { trunk: 'all' } })).vlan).toEqual({ trunk: 'all' });
    expect(of(1)).toEqual(['trunk']);
    expect(await reach(1, 20)).toEqual([2]);
    await lab.nic.setVf('vf1', { vlan: {} });
    expect(await reach(1)).toEqual([3]);
    expect(lab.drops(0)).toEqual({});
    expect(lab.drops(3)).toEqual({ 'tx.noDestination': 1 });
    for (const number of [0, 1, 2, 3]) expect(lab.nic.vf(`vf${number}`).state).toBe('ready');
  });

  it('moves an uplink, whose wires stay open', async () => {
    await connect(0, ALL_FEATURES);
    await lab.nic.addUplink({ name: 'echo', type: 'loopback', vlan: { trunk: [10, 20] } });
    const downs: unknown[] = [];
    lab.nic.on('uplink-down', (event) => downs.push(event));
    await configure({ access: 10 });
    await reach(0);
    const { rx } = lab.nic.stats().uplinks[0]!;
    expect(rx.packets).toBe(1);
    await lab.nic.setUplink('echo', { vlan: { access: 20 } });
    await reach(0);
    expect(lab.drops(0)).toEqual({ 'tx.noDestination': 1 });
    expect(lab.nic.uplink('echo').vlan).toEqual({ access: 20 });
    const actions = await lab.nic.apply({ ...lab.nic.config(), uplinks: [] });
    expect(actions.map(({ type }) => type)).toEqual(['remove-uplink']);
    expect(downs).toEqual([]);
  });

  it('separates frames while ports move back and forth under load', async () => {
    for (const number of [0, 1, 2, 3]) await connect(number, ALL_FEATURES);
    // 0 and 1 change VLANs together; 2 stays in 20, 3 in none.
    await configure({ access: 10 }, { access: 10 }, { access: 20 });
    const [sender, receiver] = [guests[0] as MockGuest, guests[1] as MockGuest];
    const frame = taggedFrame({ to: BROADCAST, from: lab.mac(0) });
    for (let round = 0; round < 20; round++) {
      const isMoving = (['vf0', 'vf1'] as const).map((name) =>
        lab.nic.setVf(name, {
          vlan: round % 2 === 0 ? { trunk: [30], native: 30 } : { access: 10 },
        }),
      );
      for (let i = 0; i < 8; i++) {
        sender.queues.pair(0).transmit.trySend(frame, 'shared');
        sender.flush();
        await sender.waitTransmitted();
        receiver.poll();
      }
      await Promise.all(isMoving);
    }
    for (const guest of guests) guest.poll();
    expect(heard[2]).toEqual([]);
    expect(heard[3]).toEqual([]);
    for (const one of heard[1] ?? []) expect(one.equals(frame)).toBe(true);
    expect(await reach(0)).toEqual([1]);
    await lab.untilBalanced();
    const allowed = new Set(['tx.vlanFilter', 'tx.noDestination']);
    expect(Object.keys(lab.drops(0)).filter((reason) => !allowed.has(reason))).toEqual([]);
  });
});

// A real race: this thread rewrites the tag while the processor's thread reads it.
describe('a tag that changes while it is read', () => {
  it('never leads into another VLAN', async () => {
    const lab = await TestNic.start({ vfs: 4 });
    const settings: VlanSettings[] = [
      { trunk: [10, 20], native: 10 },
      { trunk: [10, 20, 30], native: 10 },
      { access: 30 },
      { trunk: [30] },
    ];
    for (const [number, vlan] of settings.entries()) await lab.nic.setVf(`vf${number}`, { vlan });
    const seen = new Map<string, number>();
    const attacker = await lab.connect(0, { isRaw: true, slots: 1 });
    const onFrame = (frame: Uint8Array): void => {
      const vlan = outerType(frame) === CUSTOMER ? outerControl(frame) & 0xfff : 'none';
      seen.set(`${vlan}`, (seen.get(`${vlan}`) ?? 0) + 1);
    };
    await lab.connect(1, { onFrame });
    await lab.connect(2, { onFrame: () => seen.set('leaked', 1) });
    await lab.connect(3, { onFrame: () => seen.set('leaked', 1) });
    const { memory } = attacker.queues;
    const ring = attacker.queues.ring(1);
    const FRAMES = 32;
    const area = memory.allocate(FRAMES * 128);
    const random = new Random(seedFromEnvironment(12));
    for (let round = 0; round < 300; round++) {
      for (let i = 0; i < FRAMES; i++) {
        const tags = random.chance(0.5) ? [tag(10)] : [];
        const frame = taggedFrame({ to: BROADCAST, from: lab.mac(0), tags });
        memory.bytes.fill(0, area.offset + i * 128, area.offset + i * 128 + 12);
        memory.bytes.set(frame, area.offset + i * 128 + 12);
        const address = BigInt(area.address + i * 128);
        ring.writeDescriptor(i, { address, length: 12 + frame.length, flags: 0 });
        ring.offerRaw(i);
      }
      ring.publish();
      attacker.kick(1);
      for (let i = 0; i < 20_000 && ring.usedIndex !== ring.availIndex; i++) {
        // Alternates between a tag of VLAN 30 and the original one.
        const at = area.offset + random.below(FRAMES) * 128 + 12 + 12;
        memory.bytes.set(i % 2 === 0 ? [0x81, 0x00, 0x00, 30] : [0x81, 0x00, 0x00, 10], at);
      }
      await attacker.waitUsed(1, ring.availIndex);
    }
    lab.checkGuests();
    await lab.untilBalanced();
    expect(seen.get('30')).toBeUndefined();
    expect(seen.get('leaked')).toBeUndefined();
    expect((seen.get('10') ?? 0) + (seen.get('none') ?? 0)).toBeGreaterThan(100);
    await lab.close();
  });
});

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SHARED_BASE, SHARED_SIZE } from '../../layout/memory.ts';
import { VLAN_ANY } from '../../layout/switch.ts';
import { type MacTableEntry, readMacTable } from '../../src/state/mac-table.ts';
import type { VlanSettings } from '../../src/state/vlan.ts';
import { BROADCAST } from '../../src/testing/frames.ts';
import { difference } from '../offload/packets.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';
import { CUSTOMER, SERVICE, type Tag, tag, taggedFrame } from './tags.ts';

const STRANGER = '02:11:22:33:44:55';
const PORTS = 5;

let wire: FirmwareWire;

beforeEach(() => {
  wire = new FirmwareWire(Array.from({ length: PORTS }, () => ({})));
  wire.postAll();
  wire.host.setNow(1000);
});
afterEach(() => wire.close());

function configure(...settings: VlanSettings[]): void {
  for (const [number, one] of settings.entries()) wire.host.setVlans(number, one);
}

function frame(from: number, to: number | string, tags: readonly Tag[] = [], source?: string) {
  const target = typeof to === 'number' ? wire.mac(to) : to;
  return taggedFrame({ to: target, from: source ?? wire.mac(from), tags });
}

/** Sends one frame; returns the ports that received one. */
function reach(from: number, to: number | string, tags: readonly Tag[] = [], source?: string) {
  wire.send(from, frame(from, to, tags, source));
  wire.run();
  return wire.guests.flatMap((_, number) => (wire.received(number).length > 0 ? [number] : []));
}

/** Sends one frame; returns what is wrong with the frame that a port received. */
function heard(from: number, to: number, sent: readonly Tag[], expected: readonly Tag[]): string {
  wire.send(from, frame(from, to, sent));
  wire.run();
  return difference(wire.received(to), [frame(from, to, expected)]);
}

function table(): MacTableEntry[] {
  const { view } = wire.host;
  const shared = new DataView(view.buffer, view.byteOffset + SHARED_BASE, SHARED_SIZE);
  return readMacTable(shared, 1000, 300);
}

describe('access ports', () => {
  it('receive the frames of their VLAN, and no other port does', () => {
    configure({ access: 10 }, { access: 10 }, { access: 20 }, { access: 10 });
    expect(reach(0, BROADCAST)).toEqual([1, 3]);
    expect(reach(0, STRANGER)).toEqual([1, 3]);
    expect(reach(0, 1)).toEqual([1]);
    expect(reach(0, 2)).toEqual([1, 3]); // unknown in this VLAN, so it is flooded in it
    expect(reach(2, BROADCAST)).toEqual([]);
    expect(wire.allDrops(2)).toEqual({ 'tx.noDestination': 1 });
    expect(reach(4, BROADCAST)).toEqual([]); // the only port without VLANs
    expect(wire.allDrops(4)).toEqual({ 'tx.noDestination': 1 });
  });

  it('accept no tagged frame, not even one of their VLAN', () => {
    configure({ access: 10 }, { access: 10 }, { trunk: 'all' });
    for (const vlan of [10, 20, 4095]) expect(reach(0, BROADCAST, [tag(vlan)])).toEqual([]);
    expect(wire.allDrops(0)).toEqual({ 'tx.vlanFilter': 3 });
  });

  it('accept a priority tag, which names no VLAN', () => {
    configure({ access: 10 }, { access: 10 }, { trunk: [10] });
    expect(heard(0, 1, [tag(0, 5)], [])).toBe('');
    expect(heard(0, 2, [tag(0, 5)], [tag(10, 5)])).toBe('');
  });

  it('of 802.1ad carry the tags of their guest transparently', () => {
    configure({ access: 10, protocol: '802.1ad' }, { access: 10, protocol: '802.1ad' });
    wire.host.setVlans(2, { trunk: [10], protocol: '802.1ad' });
    expect(heard(0, 1, [tag(77, 3)], [tag(77, 3)])).toBe('');
    expect(heard(0, 2, [tag(77, 3)], [tag(10, 0, SERVICE), tag(77, 3)])).toBe('');
    expect(heard(2, 0, [tag(10, 6, SERVICE), tag(77, 3)], [tag(77, 3)])).toBe('');
    expect(reach(0, BROADCAST, [tag(10, 0, SERVICE)])).toEqual([]);
    expect(wire.allDrops(0)).toEqual({ 'tx.vlanFilter': 1 });
  });
});

describe('trunk ports', () => {
  it('receive each of their VLANs with its tag, and send with it', () => {
    configure({ access: 10 }, { access: 20 }, { trunk: [10, 20] }, { trunk: [20, 30] });
    expect(heard(0, 2, [], [tag(10)])).toBe('');
    expect(heard(2, 1, [tag(20, 7)], [])).toBe('');
    expect(heard(2, 3, [tag(20, 7)], [tag(20, 7)])).toBe('');
    expect(reach(2, BROADCAST, [tag(20)])).toEqual([1, 3]);
    expect(reach(2, BROADCAST, [tag(10)])).toEqual([0]);
  });

  it('send only where they are members', () => {
    configure({ access: 10 }, { access: 30 }, { trunk: [10, 20] }, { trunk: 'all' });
    for (const vlan of [30, 4095]) expect(reach(2, BROADCAST, [tag(vlan)])).toEqual([]);
    expect(reach(2, BROADCAST)).toEqual([]); // no native VLAN: nothing without a tag
    expect(reach(2, BROADCAST, [tag(0, 5)])).toEqual([]);
    expect(reach(2, BROADCAST, [tag(10, 0, SERVICE)])).toEqual([]); // not this port's type of tag
    expect(wire.allDrops(2)).toEqual({ 'tx.vlanFilter': 5 });
  });

  it('have one VLAN without a tag, if configured', () => {
    configure({ access: 10 }, { trunk: [10, 20], native: 10, priority: 3 }, { trunk: 'all' });
    expect(heard(0, 1, [], [])).toBe('');
    expect(heard(1, 0, [], [])).toBe('');
    expect(heard(1, 0, [tag(10)], [])).toBe('');
    expect(heard(1, 2, [], [tag(10, 3)])).toBe('');
    expect(heard(1, 2, [tag(0, 6)], [tag(10, 6)])).toBe('');
  });

  it('use 802.1Q or 802.1ad, with translation', () => {
    configure({ trunk: [10] }, { trunk: [10], protocol: '802.1ad' });
    expect(heard(0, 1, [tag(10, 4)], [tag(10, 4, SERVICE)])).toBe('');
    expect(heard(1, 0, [tag(10, 4, SERVICE), tag(9)], [tag(10, 4), tag(9)])).toBe('');
  });
});

describe('the priority of a port', () => {
  it('is in the tags of frames that arrived without one', () => {
    configure({ access: 10, priority: 6 }, { trunk: [10] });
    expect(heard(0, 1, [], [tag(10, 6)])).toBe('');
    expect(heard(0, 1, [tag(0, 2)], [tag(10, 2)])).toBe('');
  });
});

describe('ports without VLANs', () => {
  it('share all frames, including tags, only with each other', () => {
    configure({ access: 10 }, { trunk: 'all' });
    for (const tags of [[], [tag(10)], [tag(4095, 7)], [tag(5, 0, SERVICE), tag(10)]]) {
      expect(reach(2, BROADCAST, tags)).toEqual([3, 4]);
      expect(heard(3, 2, tags, tags)).toBe('');
    }
    expect(reach(2, 0)).toEqual([3, 4]);
    expect(reach(0, 3)).toEqual([1]);
    expect(reach(1, BROADCAST, [tag(10)])).toEqual([0]);
  });
});

describe('the MAC table', () => {
  it('learns separately in each VLAN', () => {
    configure({ access: 10 }, { access: 20 }, { trunk: [10, 20] }, { trunk: [10, 20] });
    reach(2, BROADCAST, [tag(10)], STRANGER);
    reach(3, BROADCAST, [tag(20)], STRANGER);
    expect(reach(0, STRANGER)).toEqual([2]);
    expect(reach(1, STRANGER)).toEqual([3]);
    const entries = table().filter(({ mac }) => mac === STRANGER);
    expect(entries.map(({ vlan, port }) => [vlan, port]).sort()).toEqual([
      [10, 2],
      [20, 3],
    ]);
  });

  it("knows a trunk's own address in all its VLANs, where no other port can take it", () => {
    configure({ access: 10 }, { access: 20 }, { trunk: [10] }, { access: 10 });
    const own = table().find(({ mac }) => mac === wire.mac(2));
    expect(own).toMatchObject({ vlan: VLAN_ANY, port: 2, isStatic: true });
    expect(reach(0, 2)).toEqual([2]);
    reach(3, BROADCAST, [], wire.mac(2));
    expect(reach(0, 2)).toEqual([2]);
    expect(reach(1, 2)).toEqual([]); // not a member, and there is no port in VLAN 20 to flood to
    wire.host.setVlans(4, { access: 20 });
    reach(4, BROADCAST, [], wire.mac(2)); // in another VLAN, another port may use it
    expect(reach(1, 2)).toEqual([4]);
  });

  it('follows a port that changes its VLAN', () => {
    configure({ access: 10 }, { access: 10 }, { access: 20 });
    reach(1, BROADCAST, [], STRANGER);
    expect(reach(0, STRANGER)).toEqual([1]);
    wire.host.setVlans(1, { access: 20 });
    expect(table().filter(({ port }) => port === 1)).toEqual([
      { mac: wire.mac(1), vlan: 20, port: 1, ageSeconds: 0, isStatic: true },
    ]);
    expect(reach(0, STRANGER)).toEqual([]);
    expect(reach(2, 1)).toEqual([1]);
    wire.host.setVlans(1, {});
    expect(reach(2, 1)).toEqual([]);
    expect(reach(4, 1)).toEqual([1]);
    expect(reach(1, BROADCAST, [tag(10, 0, CUSTOMER)])).toEqual([3, 4]);
  });
});

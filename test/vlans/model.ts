// A switch with VLANs according to IEEE 802.1Q (6.9 for tags, 8.6 for forwarding), for ports whose
// guests use only their own addresses. Slow and simple on purpose.
import type { Drops } from '../../src/state/drop-reasons.ts';
import type { VlanSettings } from '../../src/state/vlan.ts';
import { BROADCAST, macText } from '../../src/testing/frames.ts';
import { CUSTOMER, outerControl, outerType, pop, push, SERVICE } from './tags.ts';

export interface ModelPort {
  mac: string;
  vlans: VlanSettings;
}

export interface Outcome {
  /** What each port receives. */
  heard: Uint8Array[][];
  /** Why no port receives anything. */
  drop?: keyof Drops;
}

interface Classified {
  /** null: the ports without VLANs. */
  vlan: number | null;
  /** Priority and drop eligibility. */
  upper: number;
  /** Without the tag of the VLAN. */
  bare: Uint8Array;
}

function isNone({ access, trunk }: VlanSettings): boolean {
  return access === undefined && trunk === undefined;
}

function typeOf({ protocol }: VlanSettings): number {
  return protocol === '802.1ad' ? SERVICE : CUSTOMER;
}

function untaggedOf({ access, native }: VlanSettings): number {
  return access ?? native ?? 0;
}

function has({ access, trunk }: VlanSettings, vlan: number): boolean {
  if (access !== undefined) return vlan === access;
  return trunk === 'all' ? vlan >= 1 && vlan <= 4094 : (trunk ?? []).includes(vlan);
}

function classify(vlans: VlanSettings, frame: Uint8Array): Classified | keyof Drops {
  if (isNone(vlans)) return { vlan: null, upper: 0, bare: frame };
  const untagged = untaggedOf(vlans);
  if (outerType(frame) !== typeOf(vlans)) {
    if (!has(vlans, untagged)) return 'vlanFilter';
    return { vlan: untagged, upper: (vlans.priority ?? 0) << 13, bare: frame };
  }
  if (frame.length < 18) return 'runt';
  const control = outerControl(frame);
  const named = control & 0xfff;
  if (named !== 0 && vlans.access !== undefined) return 'vlanFilter';
  const vlan = named === 0 ? untagged : named;
  return has(vlans, vlan) ? { vlan, upper: control & 0xf000, bare: pop(frame) } : 'vlanFilter';
}

/** The frame as a port of the same VLAN receives it. */
function dress(vlans: VlanSettings, { vlan, upper, bare }: Classified): Uint8Array {
  if (vlan === null) return bare;
  const type = typeOf(vlans);
  // The port would mistake the payload for a tag.
  const isMisread = vlans.access === undefined && outerType(bare) === type;
  if (vlan === untaggedOf(vlans) && !isMisread) return bare;
  return push(bare, { type, control: upper | vlan });
}

export function forward(ports: readonly ModelPort[], from: number, frame: Uint8Array): Outcome {
  const heard = ports.map((): Uint8Array[] => []);
  const classified = classify((ports[from] as ModelPort).vlans, frame);
  if (typeof classified === 'string') return { heard, drop: classified };
  const { vlan } = classified;
  const isThere = ({ vlans }: ModelPort) => (vlan === null ? isNone(vlans) : has(vlans, vlan));
  const target = macText(frame);
  const owner = ports.findIndex((port) => port.mac === target && isThere(port));
  if (target !== BROADCAST && owner === from) return { heard, drop: 'hairpin' };
  for (const [number, port] of ports.entries()) {
    if (number === from || !isThere(port)) continue;
    if (owner !== -1 && number !== owner) continue;
    heard[number]?.push(dress(port.vlans, classified));
  }
  return heard.some((frames) => frames.length > 0) ? { heard } : { heard, drop: 'noDestination' };
}

// Bursts of TCP for the tests of GRO: flows in order, and anything that may occur in between.
import fc from 'fast-check';
import { onesSum } from './internet-checksum.ts';
import {
  EXTENSION,
  FINISHED,
  PADDING,
  type Packet,
  type PacketShape,
  packet,
  superPacket,
  TCP_FLAG,
  TIMESTAMPS,
} from './packets.ts';
import { transportChecksum } from './reference.ts';

export interface Flow {
  version: 4 | 6;
  tags: number;
  hasTimestamps: boolean;
  /** The step of the IPv4 identification. */
  step: 0 | 1;
  sequence: number;
  id: number;
  size: number;
}

const FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'URG', 'ECE', 'CWR'] as const;
const FIELDS = ['ack', 'window', 'urgent', 'option', 'hops', 'class', 'id', 'mac', 'tag'] as const;
const WRONG = ['tcp checksum', 'ip checksum', 'length', 'wrongly undone', 'padded'] as const;
const ODD = ['no data', 'ip options', 'fragment', 'fragmentable', 'udp', 'arp', 'super'] as const;
const ORDER = ['lost', 'again', 'undone'] as const;
export const CHANGES = ['none', ...FLAGS, ...FIELDS, ...WRONG, ...ODD, ...ORDER] as const;
type Change = (typeof CHANGES)[number];

export interface Step {
  flow: number;
  /** Payload as a share of the flow's segment size. */
  share: number;
  change: Change;
}

export const flow: fc.Arbitrary<Flow> = fc.record({
  version: fc.constantFrom(4 as const, 6 as const),
  tags: fc.constantFrom(0, 0, 1, 2),
  hasTimestamps: fc.boolean(),
  step: fc.constantFrom(0 as const, 1 as const),
  sequence: fc.oneof(fc.nat(0xffffffff), fc.constant(0xfffffff0)),
  id: fc.oneof(fc.nat(0xffff), fc.constant(0xfffe)),
  size: fc.oneof(fc.integer({ min: 1, max: 1400 }), fc.constantFrom(1400, 1401)),
});

export const step: fc.Arbitrary<Step> = fc.record({
  flow: fc.nat(3),
  share: fc.oneof(
    { weight: 9, arbitrary: fc.constant(1) },
    fc.double({ min: 0.1, max: 1.2, noNaN: true }),
  ),
  change: fc.oneof(
    { weight: 5, arbitrary: fc.constant<Change>('none') },
    { weight: 1, arbitrary: fc.constantFrom(...CHANGES) },
  ),
});

/** The packets of all steps, complete unless a step says otherwise. */
export function burst(
  ends: { to: string; from: string },
  flows: readonly Flow[],
  steps: readonly Step[],
): Packet[] {
  const states = flows.map((one) => ({ ...one }));
  return steps.map((one, index) => {
    const state = states[one.flow % states.length] as Flow;
    return make(ends, state, one, one.flow % states.length, index);
  });
}

function make(
  ends: { to: string; from: string },
  state: Flow,
  { share, change }: Step,
  number: number,
  seed: number,
): Packet {
  const length = change === 'no data' ? 0 : Math.max(1, Math.round(state.size * share));
  const flags = (FLAGS as readonly string[]).includes(change)
    ? TCP_FLAG[change as keyof typeof TCP_FLAG]
    : 0;
  const shape: PacketShape = {
    ...ends,
    ...(change === 'mac' ? { from: '02:00:00:00:99:01' } : {}),
    version: state.version,
    transport: change === 'udp' ? 'udp' : 'tcp',
    tags: [...Array(change === 'tag' ? (state.tags + 1) % 3 : state.tags).keys()].map((tag) => ({
      type: 0x8100,
      control: 7 + tag,
    })),
    identification: change === 'id' ? state.id + 7 : state.id,
    dontFragment: change !== 'fragmentable',
    ...(state.hasTimestamps ? { tcpOptions: TIMESTAMPS } : {}),
    ...(change === 'ip options' ? { ipOptions: new Uint8Array(4).fill(1) } : {}),
    ...(change === 'ip options'
      ? { extensions: [{ type: EXTENSION.destination, body: PADDING }] }
      : {}),
    tcpFlags: TCP_FLAG.ACK | flags,
    sequence: state.sequence,
    payloadLength: length,
    seed: seed + 1,
  };
  if (change === 'lost') shape.sequence = (state.sequence + state.size) >>> 0;
  const made = change === 'super' ? superPacket(shape, 100) : packet(shape);
  if (change !== 'again') {
    state.sequence = ((shape.sequence ?? 0) + length) >>> 0;
    state.id = (state.id + state.step) & 0xffff;
  }
  return finish(alter(made, change, number), change);
}

/** Sets the flow's port, and changes a header that is valid so far. */
function alter(made: Packet, change: Change, number: number): Packet {
  const { frame, l3, l4 } = made;
  const at = new DataView(frame.buffer);
  const isV4 = ((frame[l3] as number) & 0xf0) === 0x40;
  at.setUint16(l4, 40000 + number);
  const fields: Partial<Record<Change, () => void>> = {
    ack: () => at.setUint32(l4 + 8, 0x0a0b0c0e),
    window: () => at.setUint16(l4 + 14, 502),
    urgent: () => at.setUint16(l4 + 18, 1),
    option: () => frame.length > l4 + 31 && at.setUint8(l4 + 31, 99),
    hops: () => at.setUint8(l3 + (isV4 ? 8 : 7), 63),
    class: () => at.setUint16(l3, at.getUint16(l3) | 0x20),
    arp: () => at.setUint16(l3 - 2, 0x0806),
    fragment: () => isV4 && at.setUint16(l3 + 6, 0x2000),
    length: () => at.setUint16(l3 + (isV4 ? 2 : 4), frame.length - l3 - (isV4 ? 1 : 41)),
  };
  fields[change]?.();
  if (isV4) {
    at.setUint16(l3 + 10, 0);
    at.setUint16(l3 + 10, ~onesSum([frame.subarray(l3, l4)]) & 0xffff);
  }
  return made;
}

/** Completes the checksum if it has to be, and makes the later changes. */
function finish(made: Packet, change: Change): Packet {
  const { frame, l3, l4 } = made;
  const at = new DataView(frame.buffer);
  const isTcp = made.header.checksumOffset === 16;
  if (change === 'undone' || change === 'super') return made;
  if (change === 'wrongly undone') {
    at.setUint16(l4 + 16, at.getUint16(l4 + 16) ^ 1);
    return made;
  }
  if (change !== 'arp') at.setUint16(l4 + (isTcp ? 16 : 6), transportChecksum(frame));
  if (change === 'tcp checksum')
    frame[frame.length - 1] = (frame[frame.length - 1] as number) ^ 0x10;
  if (change === 'ip checksum') frame[l3 + 10] = (frame[l3 + 10] as number) ^ 0x10;
  const whole = change === 'padded' ? new Uint8Array([...frame, 0, 0, 0]) : frame;
  return { ...made, frame: whole, header: FINISHED };
}

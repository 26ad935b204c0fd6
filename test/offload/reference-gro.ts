// The reference for GRO, written from Linux's tcp_gro_receive, inet_gro_receive and
// ipv6_gro_receive, not from the firmware: which frames of a burst belong together, and the
// super-frame they become.

import {
  NET_HEADER_F_NEEDS_CSUM,
  NET_HEADER_GSO_ECN,
  NET_HEADER_GSO_TCPV4,
  NET_HEADER_GSO_TCPV6,
} from '../../layout/virtio.ts';
import { onesSum, pseudoSum } from './internet-checksum.ts';
import { type Arrival, type Packet, TCP_FLAG } from './packets.ts';
import { completeChecksum, findHeaders, transportChecksum } from './reference.ts';

const TCP = 6;
/** The largest super-frame: an IP packet of 65535 bytes after 14 bytes of Ethernet. */
const JOINED_SIZE_MAX = 65549;
const RUNS_MAX = 16;

interface Segment {
  frame: Uint8Array;
  l3: number;
  l4: number;
  payload: number;
  version: 4 | 6;
  flow: string;
  sequence: number;
  flags: number;
  id: number;
  dontFragment: boolean;
  length: number;
  isPlain: boolean;
  isIntact: boolean;
}

interface Held {
  place: number;
  last: Segment[];
  step: number | null;
}

function view(frame: Uint8Array): DataView {
  return new DataView(frame.buffer, frame.byteOffset, frame.length);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** null: the flow is unknown; 'other': the packet is certainly not TCP. */
function parse(made: Packet): Segment | 'other' | null {
  const { frame, header } = made;
  const at = view(frame);
  let l3 = 14;
  while ([0x8100, 0x88a8].includes(at.getUint16(l3 - 2))) l3 += 4;
  const type = at.getUint16(l3 - 2);
  if (type !== 0x0800 && type !== 0x86dd) return null;
  const version = type === 0x0800 ? 4 : 6;
  const isFragment = version === 4 && (at.getUint16(l3 + 6) & 0xbfff) !== 0;
  if (version === 4 && at.getUint8(l3 + 9) !== TCP) return 'other';
  if (isFragment) return null;
  const { l4, payload, protocol } = findHeaders(frame);
  if (protocol !== TCP) return 'other';
  const ports = hex(frame.subarray(l4, l4 + 4));
  const addresses =
    version === 4 ? frame.subarray(l3 + 12, l3 + 20) : frame.subarray(l3 + 8, l3 + 40);
  const told = version === 4 ? at.getUint16(l3 + 2) : at.getUint16(l3 + 4) + 40;
  const length = frame.length - payload;
  const isUndone = (header.flags & NET_HEADER_F_NEEDS_CSUM) !== 0;
  return {
    ...{ frame, l3, l4, payload, version, length },
    flow: `${version} ${hex(addresses)} ${ports}`,
    sequence: at.getUint32(l4 + 4),
    flags: at.getUint8(l4 + 13),
    id: version === 4 ? at.getUint16(l3 + 4) : 0,
    dontFragment: version === 4 && (at.getUint16(l3 + 6) & 0x4000) !== 0,
    isPlain:
      header.gsoType === 0 &&
      l4 - l3 === (version === 4 ? 20 : 40) &&
      told === frame.length - l3 &&
      length > 0,
    isIntact:
      isHeaderIntact(frame, version, l3) &&
      (isUndone
        ? isRightlyUndone(made, l3, l4)
        : transportChecksum(frame) === at.getUint16(l4 + 16)),
  };
}

function isHeaderIntact(frame: Uint8Array, version: number, l3: number): boolean {
  if (version === 6) return true;
  const header = frame.slice(l3, l3 + 20);
  header.fill(0, 10, 12);
  return (~onesSum([header]) & 0xffff) === view(frame).getUint16(l3 + 10);
}

/** Like CHECKSUM_PARTIAL: the field has the sum of the pseudo-header. */
function isRightlyUndone({ frame, header }: Packet, l3: number, l4: number): boolean {
  if (header.checksumStart !== l4 || header.checksumOffset !== 16) return false;
  const sum = onesSum([pseudoSum(frame.subarray(l3, l4), TCP, frame.length - l4)]);
  return view(frame).getUint16(l4 + 16) === sum;
}

function mayBegin(one: Segment, isEcnTaken: boolean): boolean {
  const { FIN, SYN, RST, PSH, URG, CWR } = TCP_FLAG;
  if ((one.flags & CWR) !== 0 && !isEcnTaken) return false;
  return one.isPlain && (one.flags & (FIN | SYN | RST | PSH | URG)) === 0 && one.length >= 8;
}

/** The part that all must share: all but lengths, checksums, IDs, sequence and some flags. */
function commonPart({ frame, l3, l4, payload, version }: Segment): string {
  const headers = frame.slice(0, payload);
  const lengths = version === 4 ? [l3 + 2, l3 + 3] : [l3 + 4, l3 + 5];
  const varying = version === 4 ? [4, 5, 10, 11].map((at) => l3 + at) : [];
  for (const at of [...lengths, ...varying]) headers[at] = 0;
  headers.fill(0, l4 + 4, l4 + 8);
  headers.fill(0, l4 + 16, l4 + 18);
  headers[l4 + 13] = (headers[l4 + 13] ?? 0) & ~(TCP_FLAG.FIN | TCP_FLAG.PSH | TCP_FLAG.CWR);
  return hex(headers);
}

/** The step of the identification to the next packet; null if the packet does not continue. */
function nextStep(held: Held, next: Segment): number | null {
  if (next.version === 6) return 0;
  const first = held.last[0] as Segment;
  const delta = (next.id - first.id) & 0xffff;
  if (delta === held.last.length && held.step !== 0) return 1;
  return delta === 0 && next.dontFragment && held.step !== 1 ? 0 : null;
}

function goesOn(held: Held, next: Segment): boolean {
  const first = held.last[0] as Segment;
  const data = held.last.reduce((sum, { length }) => sum + length, 0);
  if (!next.isPlain || next.length > first.length) return false;
  if (next.payload !== first.payload || (next.flags & TCP_FLAG.CWR) !== 0) return false;
  if (commonPart(first) !== commonPart(next)) return false;
  if (next.sequence !== (first.sequence + data) >>> 0) return false;
  if (first.payload + data + next.length > JOINED_SIZE_MAX) return false;
  return nextStep(held, next) !== null && first.isIntact && next.isIntact;
}

/** The groups of packets in a burst that each become one frame, in the order of delivery. */
export function groupsOf(burst: readonly Packet[], isEcnTaken = true): number[][] {
  const groups: number[][] = [];
  let open: Held[] = [];
  const held = new Map<Held, number[]>();
  burst.forEach((made, index) => {
    const one = parse(made);
    const own = [index];
    if (one === null) open = [];
    if (one === null || one === 'other') {
      groups.push(own);
      return;
    }
    const run = open.find(({ last }) => last[0]?.flow === one.flow);
    if (run !== undefined && goesOn(run, one)) {
      run.step = nextStep(run, one);
      run.last.push(one);
      held.get(run)?.push(index);
      const isShort = one.length < (run.last[0] as Segment).length;
      const ends = (one.flags & (TCP_FLAG.FIN | TCP_FLAG.PSH)) !== 0;
      if (isShort || ends) open = open.filter((other) => other !== run);
      return;
    }
    open = open.filter((other) => other !== run);
    groups.push(own);
    if (!mayBegin(one, isEcnTaken) || open.length === RUNS_MAX) return;
    const begun = { place: index, last: [one], step: null };
    open.push(begun);
    held.set(begun, own);
  });
  return groups;
}

/** A burst as one super-frame. */
export function joined(burst: readonly Packet[]): Arrival {
  const parts = burst.map((made) => parse(made) as Segment);
  const first = parts[0] as Segment;
  const last = parts.at(-1) as Segment;
  const data = parts.map(({ frame, payload }) => frame.subarray(payload));
  const frame = Uint8Array.from(Buffer.concat([first.frame.subarray(0, first.payload), ...data]));
  const at = view(frame);
  const { l3, l4, version, payload } = first;
  if (version === 4) {
    at.setUint16(l3 + 2, frame.length - l3);
    at.setUint16(l3 + 10, 0);
    at.setUint16(l3 + 10, ~onesSum([frame.subarray(l3, l4)]) & 0xffff);
  } else {
    at.setUint16(l3 + 4, frame.length - l3 - 40);
  }
  at.setUint8(l4 + 13, first.flags | (last.flags & (TCP_FLAG.FIN | TCP_FLAG.PSH)));
  at.setUint16(l4 + 16, onesSum([pseudoSum(frame.subarray(l3, l4), TCP, frame.length - l4)]));
  const type = version === 4 ? NET_HEADER_GSO_TCPV4 : NET_HEADER_GSO_TCPV6;
  const header = {
    flags: NET_HEADER_F_NEEDS_CSUM,
    gsoType: (first.flags & TCP_FLAG.CWR) !== 0 ? type | NET_HEADER_GSO_ECN : type,
    headerLength: payload,
    gsoSize: first.length,
    checksumStart: l4,
    checksumOffset: 16,
  };
  return { frame, header };
}

/** A TCP packet with its checksum completed; 0 stays 0, as in segmentation. */
export function finishedTcp({ frame, header }: Packet): Uint8Array {
  if ((header.flags & NET_HEADER_F_NEEDS_CSUM) === 0) return frame;
  const whole = completeChecksum(frame, header.checksumStart, header.checksumOffset);
  const field = header.checksumStart + header.checksumOffset;
  if (view(whole).getUint16(field) === 0xffff) view(whole).setUint16(field, 0);
  return whole;
}

// Packets in tunnels, built from the RFCs, and the segments of super-frames among them: each
// segment of the inner frame, encapsulated as if sent alone.

import { macBytes } from '../../src/testing/frames.ts';
import { onesSum, pseudoSum } from './internet-checksum.ts';
import type { Packet } from './packets.ts';
import { segment } from './reference.ts';

const IPIP = 4;
const UDP = 17;
const IPV6 = 41;
const GRE = 47;
const ETHERNET_SIZE = 14;
const IDENTIFICATION = 0xfffe; // wraps soon

export interface Tunnel {
  title: string;
  outer: 4 | 6;
  kind: 'vxlan' | 'geneve' | 'gre' | 'gretap' | 'ip';
  /** In the UDP or GRE header. */
  hasChecksum?: boolean;
  hasKey?: boolean;
  isTagged?: boolean;
}

function words(...values: readonly number[]): Uint8Array {
  return Uint8Array.from(values.flatMap((value) => [(value >> 8) & 0xff, value & 0xff]));
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

function checksumOf(...parts: readonly Uint8Array[]): number {
  return ~onesSum(parts.map((part) => part)) & 0xffff;
}

/** The outer IP header. `further` is added to the identification. */
function outerIp(tunnel: Tunnel, protocol: number, length: number, further: number): Uint8Array {
  if (tunnel.outer === 6) {
    const addresses = Buffer.from(`${'fd'.repeat(16)}${'fc'.repeat(16)}`, 'hex');
    return join(words(0x6000, 1, length, (protocol << 8) | 64), addresses);
  }
  const identification = (IDENTIFICATION + further) & 0xffff;
  const fields = words(0x4500, length + 20, identification, 0, (64 << 8) | protocol, 0);
  const header = join(fields, Uint8Array.of(172, 16, 0, 1, 172, 16, 0, 2));
  header.set(words(checksumOf(header)), 10);
  return header;
}

/** The headers between the outer IP header and the inner packet, with incomplete checksums. */
function tunnelHeader(tunnel: Tunnel, carried: Uint8Array, isV6: boolean): Uint8Array {
  if (tunnel.kind === 'ip') return new Uint8Array(0);
  if (tunnel.kind === 'vxlan' || tunnel.kind === 'geneve') {
    const [port, header] =
      tunnel.kind === 'vxlan'
        ? [4789, words(0x0800, 0, 0, 0x0700)]
        : [6081, words(0x0200, 0x6558, 0, 0x0700, 0x0102, 0x8001, 0xdead, 0xbeef)];
    return join(words(54321, port, 8 + header.length + carried.length, 0), header);
  }
  const flags = (tunnel.hasChecksum === true ? 0x8000 : 0) | (tunnel.hasKey === true ? 0x2000 : 0);
  const type = tunnel.kind === 'gretap' ? 0x6558 : isV6 ? 0x86dd : 0x0800;
  return join(
    words(flags, type),
    tunnel.hasChecksum === true ? words(0, 0) : new Uint8Array(0),
    tunnel.hasKey === true ? words(0, 77) : new Uint8Array(0),
  );
}

function protocolOf(tunnel: Tunnel, isV6: boolean): number {
  if (tunnel.kind === 'ip') return isV6 ? IPV6 : IPIP;
  return tunnel.kind === 'gre' || tunnel.kind === 'gretap' ? GRE : UDP;
}

/** An inner Ethernet frame as the tunnel sends it. */
function encapsulate(
  tunnel: Tunnel,
  [to, from]: readonly [string, string],
  inner: Uint8Array,
  further: number,
): { frame: Uint8Array; innerAt: number } {
  const isV6 = inner[12] === 0x86 && inner[13] === 0xdd;
  const isBridged = tunnel.kind !== 'gre' && tunnel.kind !== 'ip';
  const carried = isBridged ? inner : inner.subarray(ETHERNET_SIZE);
  const header = tunnelHeader(tunnel, carried, isV6);
  const protocol = protocolOf(tunnel, isV6);
  const ip = outerIp(tunnel, protocol, header.length + carried.length, further);
  const body = join(header, carried);
  if (tunnel.hasChecksum === true && protocol === UDP) {
    const sum = pseudoSum(ip, UDP, body.length);
    const checksum = ~onesSum([sum, body]) & 0xffff;
    body.set(words(checksum === 0 ? 0xffff : checksum), 6);
  }
  if (tunnel.hasChecksum === true && protocol === GRE) body.set(words(checksumOf(body)), 4);
  const type = words(tunnel.outer === 4 ? 0x0800 : 0x86dd);
  const tag = tunnel.isTagged === true ? words(0x8100, 7) : new Uint8Array(0);
  const ethernet = join(macBytes(to), macBytes(from), tag, type);
  const innerAt = ethernet.length + ip.length + header.length - (isBridged ? 0 : ETHERNET_SIZE);
  return { frame: join(ethernet, ip, body), innerAt };
}

/** A super-frame in a tunnel, as Linux passes it to a packet socket. */
export function inTunnel(tunnel: Tunnel, ends: readonly [string, string], inner: Packet): Packet {
  const { frame, innerAt } = encapsulate(tunnel, ends, inner.frame, 0);
  return {
    frame,
    l3: inner.l3 + innerAt,
    l4: inner.l4 + innerAt,
    payload: inner.payload + innerAt,
    header: {
      ...inner.header,
      headerLength: inner.header.headerLength + innerAt,
      checksumStart: inner.header.checksumStart + innerAt,
    },
  };
}

/** The frames into which it is segmented. */
export function segmentsInTunnel(
  tunnel: Tunnel,
  ends: readonly [string, string],
  inner: Packet,
): Uint8Array[] {
  const segments = segment(inner.frame, inner.header, 0);
  return segments.map((frame, index) => encapsulate(tunnel, ends, frame, index).frame);
}

import { type Addresses, ethernetFrame } from '../../src/testing/frames.ts';

// Frames of flows, and the input of their flow hash (virtio 1.3, 5.1.6.4.3).

export interface Flow {
  version: 4 | 6;
  /** 4 or 16 bytes each. */
  source: readonly number[];
  target: readonly number[];
  protocol: number;
  sourcePort: number;
  targetPort: number;
}

export const TCP = 6;
export const UDP = 17;
export const GRE = 47;

function be16(value: number): number[] {
  return [value >> 8, value & 0xff];
}

/** The smallest packet of a flow. Its payload is zeros. */
export function flowFrame(addresses: Addresses, flow: Flow): Uint8Array {
  const ports = [...be16(flow.sourcePort), ...be16(flow.targetPort)];
  const payload = [...ports, ...new Array(28).fill(0)];
  const ends = [...flow.source, ...flow.target];
  const packet =
    flow.version === 4
      ? [0x45, 0, ...be16(20 + payload.length), 0, 0, 0, 0, 64, flow.protocol, 0, 0, ...ends]
      : [0x60, 0, 0, 0, ...be16(payload.length), flow.protocol, 64, ...ends];
  const type = flow.version === 4 ? 0x0800 : 0x86dd;
  return ethernetFrame(addresses, type, Uint8Array.from([...packet, ...payload]));
}

export function addressInput(flow: Flow): number[] {
  return [...flow.source, ...flow.target];
}

export function portInput(flow: Flow): number[] {
  return [...addressInput(flow), ...be16(flow.sourcePort), ...be16(flow.targetPort)];
}

/** The Toeplitz hash, bit by bit from its definition, without the firmware's tables. */
export function toeplitz(key: Iterable<number>, input: readonly number[]): number {
  const keyBits = [...key].flatMap((byte) =>
    [7, 6, 5, 4, 3, 2, 1, 0].map((bit) => (byte >> bit) & 1),
  );
  let hash = 0;
  input.forEach((byte, place) => {
    for (let bit = 0; bit < 8; bit++) {
      if (((byte >> (7 - bit)) & 1) === 0) continue;
      const window = keyBits.slice(place * 8 + bit, place * 8 + bit + 32);
      hash ^= window.reduce((value, one) => (value << 1) | one, 0);
    }
  });
  return hash >>> 0;
}

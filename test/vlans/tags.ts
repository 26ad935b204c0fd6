import { macBytes } from '../../src/testing/frames.ts';

export interface Tag {
  /** 0x8100 or 0x88a8. */
  type: number;
  /** PCP << 13 | DEI << 12 | VLAN. */
  control: number;
}

export const CUSTOMER = 0x8100;
export const SERVICE = 0x88a8;

const ADDRESSES_SIZE = 12;
const TAG_SIZE = 4;

export function tag(vlan: number, priority = 0, type = CUSTOMER): Tag {
  return { type, control: (priority << 13) | vlan };
}

/** Inserts a tag after the addresses. */
export function push(frame: Uint8Array, { type, control }: Tag): Uint8Array {
  const made = new Uint8Array(frame.length + TAG_SIZE);
  made.set(frame.subarray(0, ADDRESSES_SIZE));
  made.set([type >> 8, type & 0xff, control >> 8, control & 0xff], ADDRESSES_SIZE);
  made.set(frame.subarray(ADDRESSES_SIZE), ADDRESSES_SIZE + TAG_SIZE);
  return made;
}

export function pop(frame: Uint8Array): Uint8Array {
  const made = new Uint8Array(frame.length - TAG_SIZE);
  made.set(frame.subarray(0, ADDRESSES_SIZE));
  made.set(frame.subarray(ADDRESSES_SIZE + TAG_SIZE), ADDRESSES_SIZE);
  return made;
}

/** The two bytes after the addresses. */
export function outerType(frame: Uint8Array): number {
  return ((frame[12] ?? 0) << 8) | (frame[13] ?? 0);
}

/** The control word of the outer tag. */
export function outerControl(frame: Uint8Array): number {
  return ((frame[14] ?? 0) << 8) | (frame[15] ?? 0);
}

export interface TaggedOptions {
  to: string;
  from: string;
  /** Outermost first. */
  tags?: readonly Tag[];
  /** Bytes after the EtherType. */
  payloadLength?: number;
  seed?: number;
}

/** A frame with tags, an EtherType for experiments and a numbered payload. */
export function taggedFrame(options: TaggedOptions): Uint8Array {
  const { to, from, tags = [], payloadLength = 50, seed = 1 } = options;
  const frame = new Uint8Array(14 + payloadLength);
  frame.set(macBytes(to), 0);
  frame.set(macBytes(from), 6);
  frame.set([0x88, 0xb5], 12);
  for (let i = 0; i < payloadLength; i++) frame[14 + i] = (i * 7 + seed * 13) & 0xff;
  return tags.reduceRight<Uint8Array>((inner, one) => push(inner, one), frame);
}

/** Which guest sends. */
export type Direction = 'forward' | 'reverse';

/** What the demo asks of its two guests, whether they are virtual machines or not. */
export interface GuestPair {
  readonly kind: 'qemu' | 'built-in';
  /** Resolves when both guests have started and answer each other. */
  connected(): Promise<void>;
  /** Round-trip times in milliseconds. */
  ping(count: number): Promise<number[]>;
  /** Streams data for some seconds; returns the Mbit/s that arrived at the receiver. */
  stream(direction: Direction, seconds: number): Promise<number>;
  /** Never rejects. */
  close(): Promise<void>;
}

/** Where a guest attaches. */
export interface Attachment {
  readonly name: string;
  readonly socket: string;
  readonly mac: string;
}

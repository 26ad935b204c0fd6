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
  /** The first guest fetches a page from the host. Without `host`, it asks DHCP for an address. */
  fetchPage?(server: PageServer): Promise<FetchedPage>;
  /** Never rejects. */
  close(): Promise<void>;
}

export interface PageServer {
  readonly port: number;
  /** Its address; undefined: that of the router that DHCP names. */
  readonly host: string | undefined;
}

export interface FetchedPage {
  /** The address that the guest came with. */
  readonly address: string;
  readonly page: string;
}

/** Where a guest attaches. */
export interface Attachment {
  readonly name: string;
  readonly socket: string;
  readonly mac: string;
}

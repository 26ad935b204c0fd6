/** Which guest sends. */
export type Direction = 'forward' | 'reverse';

/** What the demo needs from its two guests, whether or not they are virtual machines. */
export interface GuestPair {
  readonly kind: 'qemu' | 'built-in';
  /** Resolves when both guests have started and answer each other. */
  connected(): Promise<void>;
  /** Round-trip times in milliseconds. */
  ping(count: number): Promise<number[]>;
  /** Streams data for some seconds; returns the rate at which it arrived, in Mbit/s. */
  stream(direction: Direction, seconds: number): Promise<number>;
  /** The first guest fetches a page from the host. Without `host`, it first uses DHCP. */
  fetchPage?(server: PageServer): Promise<FetchedPage>;
  /** Never rejects. */
  close(): Promise<void>;
}

export interface PageServer {
  readonly port: number;
  /** Its address; undefined: the router that DHCP named. */
  readonly host: string | undefined;
}

export interface FetchedPage {
  /** The guest's address. */
  readonly address: string;
  readonly page: string;
}

/** How a guest connects to its VF. */
export interface Attachment {
  readonly name: string;
  readonly socket: string;
  readonly mac: string;
}

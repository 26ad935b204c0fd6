// What the counters of a port say, as its users see it.

/** Times that a ring was stopped, or could not start, because of what its guest or VMM did. */
export interface RingFaults {
  faults: number;
  /** By reason (docs/ring-faults.md); those that are not 0. */
  faultReasons: Record<string, number>;
}

/** From the guest: packets = forwarded + Σ drops. */
export interface TxStats extends RingFaults {
  packets: number;
  bytes: number;
  /** Frames that went to one destination at least. */
  forwarded: number;
  /** Further copies that flooding made. */
  replicas: number;
  kicks: number;
  interrupts: number;
  windowMisses: number;
  drops: Record<string, number>;
}

/** To the guest: offered = packets + coalesced + Σ drops. */
export interface RxStats extends RingFaults {
  /** Frames that the switch meant for this VF. */
  offered: number;
  /** Further frames that segmentation made of super-frames, among `offered`. */
  segments: number;
  /** Frames that were joined to one before them (GRO), and arrived as part of it. */
  coalesced: number;
  /** Checksums completed for this VF. */
  checksums: number;
  packets: number;
  bytes: number;
  interrupts: number;
  windowMisses: number;
  drops: Record<string, number>;
}

export type QueueStats =
  | ({ queue: number; direction: 'tx' } & TxStats)
  | ({ queue: number; direction: 'rx' } & RxStats);

/** Addresses behind a port, as the switch learned them. */
export interface AddressStats {
  /** In the MAC table now. The VF's own is not among them. */
  learned: number;
  /** Frames from an address that was not learned: the port's limit, or a full table. */
  unlearned: number;
}

/** A control queue that the front-end forwards. */
export interface ControlStats extends RingFaults {
  commands: number;
  /** Answered with an error: malformed, not negotiated, or beyond what the VF has. */
  refused: number;
  kicks: number;
  interrupts: number;
  /** Chains that could not be read, and answers that had no place. */
  drops: Record<string, number>;
}

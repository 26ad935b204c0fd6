// The size of a run. Each profile is a complete list: there are no hidden defaults.

export interface Profile {
  readonly name: 'smoke' | 'sharing' | 'quick' | 'full';
  /** No measurement starts later than this; null: no limit. */
  readonly secondsMax: number | null;
  readonly rounds: number;
  readonly windowSeconds: number;
  /** Limit for the other peers: Open vSwitch takes about a second to add a port. */
  readonly portsOfOthersMax: number;
  readonly forward: {
    /** More than elsewhere: all peers are connected at once, and take turns within seconds. */
    readonly rounds: number;
    readonly frameSizes: readonly number[];
    /** Sizes of the rounds with other kinds of rings; empty: no such rounds. */
    readonly variantSizes: readonly number[];
    readonly hasMix: boolean;
  };
  readonly openLoop: {
    readonly rounds: number;
    readonly wireSizes: readonly number[];
    readonly trialSeconds: number;
  };
  readonly latency: { readonly trips: number; readonly idleTrips: number };
  readonly vm: {
    readonly rounds: number;
    readonly streamSeconds: number;
    readonly trips: number;
    /** Whether Heddle also connects a guest with offloads to one without. */
    readonly hasMixed: boolean;
    /** The links between the machines; null: all. */
    readonly links: readonly string[] | null;
  };
  readonly scale: { readonly vfCounts: readonly number[]; readonly rounds: number };
  readonly idle: {
    readonly vfCounts: readonly number[];
    /**
     * After the last port was set up. V8 collects garbage a few times in the half minute after the
     * last work.
     */
    readonly settleSeconds: number;
    readonly windowSeconds: number;
  };
  /** Number of windows (4 MiB each) over which the buffers of both guests are spread. */
  readonly windows: { readonly counts: readonly number[]; readonly rounds: number };
  readonly allocation: { readonly windowSeconds: number };
  readonly offload: {
    readonly rounds: number;
    readonly windowSeconds: number;
    /** Whether packed rings are compared with split ones. */
    readonly hasRings: boolean;
  };
  readonly uplinks: {
    readonly rounds: number;
    readonly windowSeconds: number;
    /** With a guest: rounds, and seconds of TCP in each direction. */
    readonly guestRounds: number;
    readonly streamSeconds: number;
  };
  readonly sharing: {
    readonly rounds: number;
    /** Whether super-frames are limited too: at 10 Mbit/s, 200 of them take 11 s. */
    readonly hasSuperFrames: boolean;
    /** How many equal VFs share a processor. */
    readonly equalCounts: readonly number[];
    readonly trips: number;
    /** Of the cost of limits. */
    readonly costRounds: number;
  };
}

const full: Profile = {
  name: 'full',
  secondsMax: null,
  rounds: 5,
  windowSeconds: 1,
  // A pair beside 15 floods.
  portsOfOthersMax: 17,
  forward: {
    rounds: 12,
    frameSizes: [64, 128, 256, 512, 1024, 1500],
    variantSizes: [64, 1500],
    hasMix: true,
  },
  openLoop: { rounds: 3, wireSizes: [64, 128, 256, 512, 1024, 1518], trialSeconds: 0.1 },
  latency: { trips: 500_000, idleTrips: 200 },
  vm: { rounds: 3, streamSeconds: 5, trips: 500, hasMixed: true, links: null },
  scale: { vfCounts: [2, 4, 16, 64], rounds: 3 },
  idle: { vfCounts: [8, 64], settleSeconds: 30, windowSeconds: 10 },
  windows: { counts: [8, 512, 864, 960, 1024, 1792], rounds: 2 },
  allocation: { windowSeconds: 10 },
  offload: { rounds: 9, windowSeconds: 0.5, hasRings: true },
  uplinks: { rounds: 9, windowSeconds: 1, guestRounds: 3, streamSeconds: 3 },
  sharing: {
    ...{ rounds: 3, hasSuperFrames: true, equalCounts: [2, 16, 64] },
    ...{ trips: 20_000, costRounds: 30 },
  },
};

const quick: Profile = {
  name: 'quick',
  // Takes some 200 s on a quiet machine; on a busy one the report lists what was omitted.
  secondsMax: 210,
  rounds: 1,
  windowSeconds: 0.5,
  portsOfOthersMax: 8,
  forward: { rounds: 3, frameSizes: [64, 1500], variantSizes: [], hasMix: true },
  openLoop: { rounds: 1, wireSizes: [64, 1518], trialSeconds: 0.05 },
  latency: { trips: 100_000, idleTrips: 50 },
  vm: {
    ...{ rounds: 1, streamSeconds: 1, trips: 100 },
    ...{ hasMixed: false, links: ['heddle', 'bridge-tap'] },
  },
  scale: { vfCounts: [2, 64], rounds: 1 },
  idle: { vfCounts: [64], settleSeconds: 2, windowSeconds: 3 },
  windows: { counts: [8, 1024], rounds: 1 },
  allocation: { windowSeconds: 3 },
  offload: { rounds: 1, windowSeconds: 0.5, hasRings: false },
  uplinks: { rounds: 1, windowSeconds: 0.5, guestRounds: 0, streamSeconds: 1 },
  sharing: {
    ...{ rounds: 1, hasSuperFrames: false, equalCounts: [16], trips: 2000, costRounds: 3 },
  },
};

const smoke: Profile = {
  ...full,
  name: 'smoke',
  // Then idle measures Heddle alone: the others poll, which needs no measurement.
  portsOfOthersMax: 2,
  forward: { rounds: 9, frameSizes: [64, 1500], variantSizes: [], hasMix: false },
  idle: { vfCounts: [8], settleSeconds: 30, windowSeconds: 10 },
};

const sharing: Profile = { ...full, name: 'sharing' };

export const profiles = { full, quick, smoke, sharing } as const;

// Messages between the harness and the driver process: a line of JSON each way.

export interface ConnectRequest {
  readonly command: 'connect';
  readonly sockets: readonly string[];
  /** Whether the driver listens and the switch connects, as Open vSwitch does. */
  readonly isListening: boolean;
  readonly ringSize: number;
  readonly frameBytes: readonly number[];
  readonly chunks: number | null;
  readonly hasHugePages: boolean;
  /** TCP super-frames that need segmentation and checksums, instead of `frameBytes`; null: none. */
  readonly superFrames: SuperFramePlan | null;
  /** What single ports do otherwise, by their number; null: nothing. */
  readonly works: readonly PortWork[] | null;
  /** The processes of the switch, whose CPU time belongs to each measurement. */
  readonly switchPids: readonly number[];
}

export interface PortWork {
  /** Whom it sends to: a port, or all; omitted: its partner. */
  readonly to?: number | 'all';
  readonly frameBytes?: readonly number[];
  readonly queuePairs?: number;
}

export interface SuperFramePlan {
  /** Size of each receive buffer with the header; a frame may need several. */
  readonly receiveBufferBytes: number;
}

/** Every port sends to its partner, so that the switch learns all addresses. */
interface IntroduceRequest {
  readonly command: 'introduce';
}

/** Every port sends two frames, whoever receives them, so that the switch learns all addresses. */
interface GreetRequest {
  readonly command: 'greet';
}

/** Some ports keep their rings full; all receive. */
export interface ShareRequest {
  readonly command: 'share';
  readonly senders: readonly number[];
  readonly warmUpSeconds: number;
  readonly seconds: number;
  /** What the switch has taken is read this often. */
  readonly sampleMilliseconds: number;
}

/** All pairs of ports at once, in both directions, with a fixed number of frames in flight. */
export interface LoopRequest {
  readonly command: 'loop';
  readonly framesInFlight: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

/** From port 0 to port 1 at a fixed rate, whether or not the frames arrive. */
export interface OfferRequest {
  readonly command: 'offer';
  readonly mpps: number;
  readonly seconds: number;
}

/** One frame there and back between ports 0 and 1, repeatedly. */
export interface PingRequest {
  readonly command: 'ping';
  readonly count: number;
  /** Between a reply and the next request. */
  readonly pauseMicroseconds: number;
  /** From port 2 to port 3 meanwhile; 0: none. */
  readonly loadMpps: number;
  /** Frames that each port from number 2 on keeps in flight meanwhile; 0: none. */
  readonly busyFrames: number;
  /** Ports that keep their rings full meanwhile. */
  readonly floods: readonly number[];
  /** Beside floods, fewer trips are enough after this time. */
  readonly secondsMax: number;
  /** What each side takes to answer; it does not count. */
  readonly reactionMicroseconds: number;
  /** Greater than 0, up to 1. */
  readonly quantiles: readonly number[];
}

/** From port 0, as much as its ring accepts. */
export interface FloodRequest {
  readonly command: 'flood';
  readonly seconds: number;
}

/** Into port 0: a number of frames from the network. */
export interface SinkRequest {
  readonly command: 'sink';
  readonly frames: number;
  /** Time limit. */
  readonly seconds: number;
}

/** No switch at all: this process copies from one set of buffers to another. */
export interface CopyRequest {
  readonly command: 'copy';
  readonly bufferBytes: number;
  /** Of each of the two sets. */
  readonly buffers: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

export type DriverRequest =
  | ConnectRequest
  | IntroduceRequest
  | GreetRequest
  | ShareRequest
  | LoopRequest
  | OfferRequest
  | PingRequest
  | FloodRequest
  | SinkRequest
  | CopyRequest;

/** CPU seconds per second of both sides during the measurement. */
export interface Cores {
  readonly switchCores: number;
  /** Seconds per second for which its threads wanted to run while other work had their cores. */
  readonly switchWaits: number;
  readonly generatorCores: number;
}

export interface ConnectAnswer {
  /** Feature bits that the switch offers, as a hexadecimal mask. */
  readonly offered: string;
}

export interface SenderFigures {
  readonly port: number;
  /** Frames that the switch has taken, and their bytes as on a wire. */
  readonly frames: number;
  readonly bytes: number;
  readonly largestBytes: number;
  /** Looks at its rings, and those that found one of them empty. */
  readonly looks: number;
  readonly emptyLooks: number;
  /** Between such looks and those before: for so long they may have been empty. */
  readonly emptySeconds: number;
  /** Bytes taken in each interval. */
  readonly samples: readonly number[];
}

export interface ShareAnswer extends Cores {
  readonly seconds: number;
  readonly sampleSeconds: readonly number[];
  readonly senders: readonly SenderFigures[];
  /** Frames that each port received. */
  readonly received: readonly number[];
}

export interface LoopAnswer extends Cores {
  readonly mpps: number;
  readonly framesLost: number;
  readonly seconds: number;
}

export interface OfferAnswer extends Cores {
  readonly offered: number;
  readonly delivered: number;
  /** Frames for which the transmit ring had no room: lost as well. */
  readonly refused: number;
  /** Without the time in which the driver itself did not run. */
  readonly seconds: number;
}

export interface PingAnswer extends Cores {
  readonly trips: number;
  /** Round trips in microseconds: for each requested quantile, the trip of that rank. */
  readonly quantiles: readonly number[];
  /** Trips that did not end. The quantiles include them only beside floods. */
  readonly lost: number;
  /** Frames of the load that arrived, per microsecond. */
  readonly loadMpps: number;
  /** Of the floods: looks at their rings, and those that found one empty. */
  readonly looks: number;
  readonly emptyLooks: number;
}

export interface FloodAnswer extends Cores {
  /** Buffers that the switch returned, per second. */
  readonly framesPerSecond: number;
}

export interface SinkAnswer {
  readonly frames: number;
  /** When the last one arrived, on the clock that all processes share (clock.ts). */
  readonly lastAt: number;
}

export interface CopyAnswer {
  readonly buffersPerSecond: number;
  readonly generatorCores: number;
}

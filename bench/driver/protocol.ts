// What the harness and the driver's process say to each other: a line of JSON each way.

export interface ConnectRequest {
  readonly command: 'connect';
  readonly sockets: readonly string[];
  /** Whether the driver listens and the switch connects, as Open vSwitch does. */
  readonly isListening: boolean;
  readonly ringSize: number;
  readonly frameBytes: readonly number[];
  readonly chunks: number | null;
  readonly hasHugePages: boolean;
  /** Super-frames of TCP, left to be cut and summed, instead of `frameBytes`; null: none. */
  readonly superFrames: SuperFramePlan | null;
  /** The processes of the switch, whose CPU time belongs to each measurement. */
  readonly switchPids: readonly number[];
}

export interface SuperFramePlan {
  /** Of each buffer to receive into, with the header: one takes a whole frame, or many do. */
  readonly receiveBufferBytes: number;
}

/** Every port sends to its partner, so that the switch learns where all of them are. */
interface IntroduceRequest {
  readonly command: 'introduce';
}

/** All pairs of ports at once, in both directions, with a fixed number of frames under way. */
export interface LoopRequest {
  readonly command: 'loop';
  readonly framesInFlight: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

/** From port 0 to port 1 at a fixed rate, whatever becomes of the frames. */
export interface OfferRequest {
  readonly command: 'offer';
  readonly mpps: number;
  readonly seconds: number;
}

/** One frame there and back between ports 0 and 1, again and again. */
export interface PingRequest {
  readonly command: 'ping';
  readonly count: number;
  /** Between an answer and the next question. */
  readonly pauseMicroseconds: number;
  /** From port 2 to port 3 meanwhile; 0 for none. */
  readonly loadMpps: number;
  /** Frames that each port from number 2 on keeps under way meanwhile; 0 for none. */
  readonly busyFrames: number;
  /** Greater than 0, up to 1. */
  readonly quantiles: readonly number[];
}

/** From port 0, as much as its ring takes. */
export interface FloodRequest {
  readonly command: 'flood';
  readonly seconds: number;
}

/** Into port 0, so many frames from the world. */
export interface SinkRequest {
  readonly command: 'sink';
  readonly frames: number;
  /** How long to wait for them at most. */
  readonly seconds: number;
}

/** No switch at all: this process copies from one set of buffers to another, one by one. */
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
  | LoopRequest
  | OfferRequest
  | PingRequest
  | FloodRequest
  | SinkRequest
  | CopyRequest;

/** CPU seconds per second of both sides, while the measurement lasted. */
export interface Cores {
  readonly switchCores: number;
  readonly generatorCores: number;
}

export interface ConnectAnswer {
  /** Feature bits that the switch offers, as a hexadecimal mask. */
  readonly offered: string;
}

export interface LoopAnswer extends Cores {
  readonly mpps: number;
  readonly framesLost: number;
  readonly seconds: number;
}

export interface OfferAnswer extends Cores {
  readonly offered: number;
  readonly delivered: number;
  /** Frames that found the transmit ring full: lost as well. */
  readonly refused: number;
  /** Without the time in which the driver itself did not run. */
  readonly seconds: number;
}

export interface PingAnswer extends Cores {
  /** Round trips in microseconds: for each quantile asked for, the trip of that rank. */
  readonly quantiles: readonly number[];
  /** Trips that did not end; they are not among the quantiles. */
  readonly lost: number;
  /** Frames of the load that arrived, per microsecond. */
  readonly loadMpps: number;
}

export interface FloodAnswer extends Cores {
  /** Buffers that the switch gave back, per second. */
  readonly framesPerSecond: number;
}

export interface SinkAnswer {
  readonly frames: number;
  /** When the last had come, on the clock of all processes (clock.ts). */
  readonly lastAt: number;
}

export interface CopyAnswer {
  readonly buffersPerSecond: number;
  readonly generatorCores: number;
}

// The result of every suite, so that statistics, report, plots and promises are independent of
// suites.

export type SuiteName =
  | 'forward'
  | 'open-loop'
  | 'latency'
  | 'vm'
  | 'scale'
  | 'idle'
  | 'windows'
  | 'allocation'
  | 'offload'
  | 'uplinks'
  | 'sharing'
  | 'checks';

export interface Sample {
  readonly suite: SuiteName;
  readonly peer: string;
  readonly round: number;
  /** What the switch had to do, in words: `64 B`, `16 VFs`. */
  readonly workload: string;
  /** The workload as a number, for the axis of a plot; null if it is not a number. */
  readonly x: number | null;
  readonly metric: string;
  readonly unit: string;
  readonly value: number;
  /** Other work took CPU time from one of the sides: the figure says little about the switch. */
  readonly isDisturbed: boolean;
  /** The load had pauses that the figure assumes not to exist: never judged. */
  readonly isVoid?: boolean;
  /** CPU seconds per second of the window; null if the suite does not measure them. */
  readonly switchCores: number | null;
  readonly generatorCores: number | null;
  /** Further values of this measurement, by name. */
  readonly details?: Readonly<Record<string, number | string>>;
}

/** Something that a run did not measure, and why: a report omits nothing silently. */
export interface Omission {
  readonly what: string;
  readonly reason: string;
}

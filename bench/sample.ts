// What every suite returns, so that statistics, report, plots and promises need to know no suite.

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
  | 'checks';

export interface Sample {
  readonly suite: SuiteName;
  readonly peer: string;
  readonly round: number;
  /** What was asked of the switch, in words: `64 B`, `16 VFs`. */
  readonly workload: string;
  /** The workload as a number, for the axis of a plot; null when it is none. */
  readonly x: number | null;
  readonly metric: string;
  readonly unit: string;
  readonly value: number;
  /** Other work took CPU time from one of the sides: the figure says little about the switch. */
  readonly isDisturbed: boolean;
  /** CPU seconds per second of the window; null where the suite leaves them unmeasured. */
  readonly switchCores: number | null;
  readonly generatorCores: number | null;
  /** Whatever else belongs to this measurement, by name. */
  readonly details?: Readonly<Record<string, number | string>>;
}

/** Something that was left out of a run, and why: a report never leaves anything out silently. */
export interface Omission {
  readonly what: string;
  readonly reason: string;
}

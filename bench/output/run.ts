// The results of one run.

import type { Host } from '../host.ts';
import type { Options } from '../options.ts';
import type { Omission, Sample } from '../sample.ts';
import type { Verdict } from '../thresholds.ts';

export interface Run {
  readonly options: Options;
  readonly host: Host;
  readonly seconds: number;
  readonly versions: Readonly<Record<string, string>>;
  /** Not measured, for a legitimate reason. */
  readonly omissions: readonly Omission[];
  /** Should have been measured but could not be. */
  readonly failures: readonly Omission[];
  readonly samples: readonly Sample[];
  readonly verdicts: readonly Verdict[];
}

import type { SuiteName } from '../sample.ts';

export interface PlotFile {
  readonly suite: SuiteName;
  readonly file: string;
  readonly svg: string;
}

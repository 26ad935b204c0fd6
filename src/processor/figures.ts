import {
  PROCESSOR_EVICTIONS,
  PROCESSOR_MISSES,
  PROCESSOR_SLEEPS,
  PROCESSOR_SLOTS_USED,
  PROCESSOR_TURNS,
} from '../../layout/processor.ts';
import type { Windows } from '../memory/windows.ts';

/**
 * Writes a processor's record, which may be read by anyone at any time. The figures are 32 bits
 * wide and wrap; the reader handles that.
 */
export function publishFigures(
  record: Int32Array,
  turns: number,
  sleeps: number,
  windows: Windows,
): void {
  record[PROCESSOR_TURNS / 4] = turns;
  record[PROCESSOR_SLEEPS / 4] = sleeps;
  record[PROCESSOR_MISSES / 4] = windows.misses;
  record[PROCESSOR_EVICTIONS / 4] = windows.evictions;
  record[PROCESSOR_SLOTS_USED / 4] = windows.used;
}

/** Seconds of CLOCK_MONOTONIC: the same in every thread, whatever happens to the wall clock. */
export function monotonicSeconds(): number {
  return Number(process.hrtime.bigint()) / 1e9;
}

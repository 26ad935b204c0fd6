/**
 * Milliseconds of CLOCK_MONOTONIC: the same in every thread, whatever happens to the wall clock.
 * Optimised, it allocates nothing, which `performance.now()` does.
 */
export function monotonicMilliseconds(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

export function monotonicSeconds(): number {
  return monotonicMilliseconds() / 1e3;
}

/** Standstills remembered for each CPU: those of several seconds. */
export const STANDSTILLS_KEPT = 1024;

const CPU_SIZE = 2 + 2 * STANDSTILLS_KEPT;

/** Offsets of a CPU's record in an array of doubles that all threads share. Times are in ms. */
export function standstillsOf(cpu: number) {
  const base = cpu * CPU_SIZE;
  return {
    /** The time up to which the CPU has been watched; 0: it is not watched. */
    seen: base,
    /** Number of standstills so far. */
    count: base + 1,
    /** Begin and end of the standstill with this number, while it is remembered. */
    at: (number: number) => base + 2 + 2 * (number % STANDSTILLS_KEPT),
  };
}

export function standstillRecord(cpus: number): SharedArrayBuffer {
  return new SharedArrayBuffer(8 * CPU_SIZE * cpus);
}

export function cpusIn(record: Float64Array): number {
  return record.length / CPU_SIZE;
}

/** Milliseconds of a clock that is the same in every thread. */
export function milliseconds(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

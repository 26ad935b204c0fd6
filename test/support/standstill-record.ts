/** How many standstills are remembered for each CPU: those of some seconds. */
export const STANDSTILLS_KEPT = 64;

const CPU_SIZE = 2 + 2 * STANDSTILLS_KEPT;

/** Where the record of a CPU lies in an array of doubles that all threads share; times in ms. */
export function standstillsOf(cpu: number) {
  const base = cpu * CPU_SIZE;
  return {
    /** The moment up to which the CPU was watched; 0: it is not. */
    seen: base,
    /** How many standstills there were. */
    count: base + 1,
    /** Begin and end of the standstill with this number, as long as it is remembered. */
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

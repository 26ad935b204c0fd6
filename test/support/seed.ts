/** The seed of this run: HEDDLE_SEED repeats one that failed. */
export function seedFromEnvironment(fallback: number): number {
  const given = process.env.HEDDLE_SEED;
  return given === undefined ? fallback : Number(given) >>> 0;
}

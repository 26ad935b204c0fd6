/** The seed of this run: set HEDDLE_SEED to repeat a failed one. */
export function seedFromEnvironment(fallback: number): number {
  const given = process.env.HEDDLE_SEED;
  return given === undefined ? fallback : Number(given) >>> 0;
}

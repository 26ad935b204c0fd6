/** Two decimal places, more for small numbers and none for large ones. */
export function number(value: number): string {
  if (Number.isInteger(value) || Math.abs(value) >= 1000) return value.toFixed(0);
  return Math.abs(value) < 0.1 ? value.toPrecision(2) : value.toFixed(2);
}

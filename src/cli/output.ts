// Output for people: plain tables, and errors with a hint.

import { asOperatorError } from '../errors.ts';

export type Cell = string | number;

/** Columns as wide as their widest cell, numbers right-aligned; the header in capitals. */
export function table(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => String(row[column] ?? '').length)),
  );
  const isRight = header.map((_, column) => /^\d+(\.\d+)?$/.test(String(rows[0]?.[column])));
  const line = (cells: readonly Cell[]): string =>
    cells
      .map((cell, column) => {
        const text = String(cell);
        return isRight[column] ? text.padStart(widths[column]!) : text.padEnd(widths[column]!);
      })
      .join('  ')
      .trimEnd();
  return [line(header.map((title) => title.toUpperCase())), ...rows.map(line)].join('\n');
}

/** "name  value" per line. */
export function list(entries: readonly (readonly [string, Cell])[]): string {
  const width = Math.max(...entries.map(([key]) => key.length));
  return entries.map(([key, value]) => `${key.padEnd(width)}  ${value}`).join('\n');
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

/** One object per line, for readers that process one line at a time. */
export function printJsonLine(value: unknown): void {
  print(JSON.stringify(value));
}

/** "heddle: <message>" with the hint below it, for every problem of the input. */
export function errorText(error: unknown): string {
  const known = asOperatorError(error);
  if (known === undefined) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return `heddle: this is a bug in Heddle, please report it: ${text}`;
  }
  return [known, ...known.also]
    .map(({ message, hint }) => `heddle: ${message}\n  ${hint}`)
    .join('\n');
}

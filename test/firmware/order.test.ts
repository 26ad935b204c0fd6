import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

// On arm64 a plain load may overtake an earlier atomic store (STLR orders only what precedes it),
// but an atomic load may not. Every read that decides about an interrupt or about sleep follows
// such a store. x86-64 hides the difference, so this test reads the sources.

const ROOM = new URL('../../firmware/virtqueue/', import.meta.url);

function functionOf(file: string, name: string): string {
  const text = readFileSync(new URL(file, ROOM), 'utf8');
  const start = text.indexOf(`export function ${name}(`);
  if (start < 0) throw new Error(`assertion: no ${name} in ${file}`);
  return text.slice(start, text.indexOf('\n}\n', start));
}

function plainLoads(body: string): string[] {
  return body.match(/(?<!atomic\.)\bload<\w+>/g) ?? [];
}

test.each([
  ['notification.ts', 'wantsInterrupt'],
  ['notification.ts', 'armKicks'],
  ['packed.ts', 'wantsPackedInterrupt'],
  ['packed.ts', 'armPackedKicks'],
  ['packed.ts', 'availableFlags'],
  ['split.ts', 'availableCount'],
])('%s: %s uses atomic loads for what the driver wrote', (file, name) => {
  expect(plainLoads(functionOf(file, name))).toEqual([]);
});

test('the search finds plain loads', () => {
  const body = 'u32(load<u16>(view.avail)) + atomic.load<u16>(view.avail)';
  expect(plainLoads(body)).toEqual(['load<u16>']);
});

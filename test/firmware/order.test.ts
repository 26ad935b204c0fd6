import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

// On arm64 a plain load may overtake an atomic store before it (STLR orders only what came before
// it); an atomic load may not. Every look that decides on an interrupt or on sleeping comes behind
// such a store. x86-64 hides the difference, so the sources are looked at.

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
])('%s: %s reads what the driver wrote atomically', (file, name) => {
  expect(plainLoads(functionOf(file, name))).toEqual([]);
});

test('the look finds plain loads', () => {
  const body = 'u32(load<u16>(view.avail)) + atomic.load<u16>(view.avail)';
  expect(plainLoads(body)).toEqual(['load<u16>']);
});

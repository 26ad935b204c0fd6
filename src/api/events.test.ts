import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { EVENT_NAMES } from './events.ts';

it('docs/api.md names every event, including those that only "heddle up --json" prints', () => {
  const text = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');
  const names = [...EVENT_NAMES, 'stopped', 'lines-dropped'];
  expect(names.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
});

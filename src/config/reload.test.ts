import { expect, it } from 'vitest';
import { withAdded } from './reload.ts';
import { completeNic } from './validate.ts';

it('groups that were added since the last time stay, and those gone from the file go', () => {
  const groups = (...names: string[]) => completeNic({ groups: names.map((name) => ({ name })) });
  const [file, before] = [groups('gold'), groups('gold', 'silver')];
  const wanted = withAdded(file, before, groups('gold', 'silver', 'tin'));
  expect(wanted.groups.map(({ name }) => name)).toEqual(['gold', 'tin']);
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Load } from './load.ts';

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'heddle-load-'));
  path = join(directory, 'loadavg');
});

afterEach(() => rmSync(directory, { recursive: true }));

describe('the load of the machine', () => {
  it.each([
    ['0.00 0.01 0.05 1/345 12345\n', false],
    ['12.40 0.01 0.05 2/345 12345\n', false],
    ['0.00 0.01 0.05 3/345 12345\n', true],
    ['0.00 0.01 0.05 112/345 12345\n', true],
  ])('with two processors and %j is contested: %s', (line, isContested) => {
    writeFileSync(path, line);
    const load = new Load(path, 2);
    expect(load.isContested()).toBe(isContested);
    load.close();
  });

  it('is read anew each time', () => {
    writeFileSync(path, '0.00 0.01 0.05 1/345 12345\n');
    const load = new Load(path, 2);
    expect(load.isContested()).toBe(false);
    writeFileSync(path, '0.00 0.01 0.05 5/345 12345\n');
    expect(load.isContested()).toBe(true);
    load.close();
  });

  it('is uncontested if it cannot be read', () => {
    expect(new Load(join(directory, 'missing'), 2).isContested()).toBe(false);
  });

  it("parses this machine's own: at least this thread is running", () => {
    const load = new Load('/proc/loadavg', 0);
    expect(load.isContested()).toBe(true);
    load.close();
  });
});

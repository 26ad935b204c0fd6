import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type FakePasst, readJournal, writeFakePasst } from '../../test/support/fake-passt.ts';
import { withOtherDescriptors } from '../../test/support/file-descriptors.ts';
import { Poller } from '../os/poller.ts';
import { PasstSource } from './passt.ts';
import type { UplinkCapabilities } from './types.ts';

let directory: string;
let program: string;
let journal: string;
let source: PasstSource;
let poller: Poller;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'heddle-passt-'));
  poller = new Poller();
  [program, journal] = [join(directory, 'passt'), join(directory, 'journal')];
});

afterEach(async () => {
  await source.stop();
  poller.close();
  rmSync(directory, { recursive: true });
});

async function start(behaviour: FakePasst, words: string[] = []): Promise<UplinkCapabilities> {
  writeFakePasst(program, { journal, ...behaviour });
  source = new PasstSource({ program, mtu: 1400, arguments: words }, poller);
  return new Promise((resolve, reject) => {
    const onUp = (wires: { capabilities: UplinkCapabilities }) => resolve(wires.capabilities);
    source.start({ onUp, onDown: () => undefined }).catch(reject);
  });
}

describe('a passt of another version', () => {
  test('is shown', async () => {
    const { mode } = await start({ version: 'passt 2031_01_02.abcdef' });
    expect(mode).toBe('passt 2031_01_02.abcdef');
  });

  test('that does not print its version runs nevertheless', async () => {
    expect(await start({ version: 'what?' })).not.toHaveProperty('mode');
  });

  test('is started without options that it does not know and that are not essential', async () => {
    await start({ version: 'passt 9', unknown: ['--stderr', '--quiet'] }, ['-t', '80']);
    const starts = readJournal(journal).map(({ words }) => words);
    expect(starts).toHaveLength(3);
    const needed = ['--foreground', '--fd', '3', '--mtu', '1400'];
    expect(starts[0]).toEqual([...needed, '--quiet', '--stderr', '-t', '80']);
    expect(starts[2]).toEqual([...needed, '-t', '80']);
  });

  test('that lacks a necessary option is refused, with its version', async () => {
    const starting = start({ version: 'passt 2021_01_01', unknown: ['--fd'] });
    await expect(starting).rejects.toMatchObject({
      code: 'HEDDLE_PASST_VERSION',
      message: expect.stringMatching(/does not know --fd: received passt 2021_01_01/),
    });
    expect(readJournal(journal)).toHaveLength(1);
  });

  test('reports which of the user’s arguments it does not know', async () => {
    const starting = start({ version: 'passt 9', unknown: ['--host'] }, ['--host']);
    await expect(starting).rejects.toMatchObject({ code: 'HEDDLE_PASST_FAILED' });
  });
});

test('a passt that does not say its version, while a child of it holds its output, runs too', async () => {
  const loop = `trap '' TERM; sleep 50 & echo "[$$, $!]" >'${journal}'; wait`;
  const script = `#!/bin/sh\n[ "$1" = --version ] && { ${loop}; }\nexec sleep 60\n`;
  writeFileSync(program, script, { mode: 0o755 });
  source = new PasstSource({ program, mtu: 1400, arguments: [] }, poller);
  await source.start({ onUp: () => undefined, onDown: () => undefined });
  const [asked, itsChild] = JSON.parse(readFileSync(journal, 'utf8')) as [number, number];
  process.kill(itsChild, 'SIGKILL');
  expect(() => process.kill(asked, 0)).toThrow('ESRCH');
});

describe('stopping does not wait in vain for a passt', () => {
  async function startScript(lines: string[]): Promise<void> {
    const script = ['#!/bin/sh', '[ "$1" = --version ] && exit 0', ...lines].join('\n');
    writeFileSync(program, `${script}\n`, { mode: 0o755 });
    source = new PasstSource({ program, mtu: 1400, arguments: [] }, poller);
    await source.start({ onUp: () => undefined, onDown: () => undefined });
  }

  test('that has ended, while a child of it still holds its error output', async () => {
    const lines = ["trap '' TERM", 'sleep 50 &', `echo $! >'${journal}'`, 'exit 1'];
    await expect(startScript(lines)).rejects.toMatchObject({ code: 'HEDDLE_PASST_FAILED' });
    await source.stop();
    // Throws if the child has ended as well: then `stop` waited for it.
    process.kill(Number(readFileSync(journal, 'utf8')), 'SIGKILL');
  });

  test('that ignores SIGTERM', async () => {
    await startScript(["trap '' TERM", 'exec sleep 60']);
    await source.stop();
  });
});

test('a passt that was handed over can write, and its last words reach the next one', async () => {
  const go = join(directory, 'go');
  const waits = `while [ ! -e '${go}' ]; do sleep 0.02; done`;
  const speaks = `echo 'passt: no more memory' >&2; echo $$ >'${journal}'; exec sleep 60`;
  const script = `#!/bin/sh\n[ "$1" = --version ] && exit 0\n${waits}; ${speaks}\n`;
  writeFileSync(program, script, { mode: 0o755 });
  const options = { program, mtu: 1400, arguments: [] };
  const first = new PasstSource(options, poller);
  await first.start({ onUp: () => undefined, onDown: () => undefined });
  first.handOver();
  const state = withOtherDescriptors(first.save());
  source = new PasstSource(options, poller);
  const reasons: string[] = [];
  const listener = { onUp: () => undefined, onDown: (reason: string) => reasons.push(reason) };
  expect(source.restore(listener, { fd: -1, pairs: 1, hasRingRoom: false }, state)).not.toBeNull();
  writeFileSync(go, '');
  await vi.waitUntil(() => existsSync(journal) && readFileSync(journal, 'utf8') !== '');
  source.lose('its end');
  expect(reasons).toEqual(['its end: passt: no more memory']);
  process.kill(Number(readFileSync(journal, 'utf8')), 'SIGKILL');
});

test('a missing passt is a clear error', async () => {
  source = new PasstSource({ program: join(directory, 'none'), mtu: 1500, arguments: [] }, poller);
  const starting = source.start({ onUp: () => undefined, onDown: () => undefined });
  await expect(starting).rejects.toMatchObject({
    code: 'HEDDLE_PASST_MISSING',
    hint: expect.stringContaining('apt install passt'),
  });
});

test('a program that cannot be executed is an error, too', async () => {
  writeFileSync(journal, '');
  const options = { program: join(journal, 'passt'), mtu: 1500, arguments: [] };
  source = new PasstSource(options, poller);
  const starting = source.start({ onUp: () => undefined, onDown: () => undefined });
  await expect(starting).rejects.toMatchObject({
    code: 'HEDDLE_PASST_FAILED',
    message: expect.stringContaining('ENOTDIR'),
  });
});

test('a passt that ends while its version is awaited is an error with its last words', async () => {
  const asked = `while [ ! -e '${journal}' ]; do sleep 0.02; done; sleep 0.2; exit 0`;
  const lines = [
    '#!/bin/sh',
    `[ "$1" = --version ] && { ${asked}; }`,
    "sleep 0.4; echo 'passt: no more memory' >&2",
    `touch '${journal}'; exit 3`,
  ];
  writeFileSync(program, `${lines.join('\n')}\n`, { mode: 0o755 });
  source = new PasstSource({ program, mtu: 1400, arguments: [] }, poller);
  const starting = source.start({ onUp: () => undefined, onDown: () => undefined });
  await expect(starting).rejects.toMatchObject({
    code: 'HEDDLE_PASST_FAILED',
    message: expect.stringContaining('exit code 3'),
  });
});

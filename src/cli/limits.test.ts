// The built command with too few resources: it says what is missing, and exits.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';

const script = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

// In KiB. From 34 to 40 million, a thread once waited for ever for one that had no memory.
it.each([10e6, 20e6, 34e6, 37e6, 40e6, 60e6])(
  'exits with ulimit -v %i and the reason',
  (limit) => {
    const directory = mkdtempSync(join(tmpdir(), 'heddle-limits-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const file = join(directory, 'nic.yaml');
    writeFileSync(file, `vfs: [{name: vm1, socket: ${directory}/vm1.sock}]\n`);
    const command = `ulimit -v ${limit}; exec "$0" "$@"`;
    const words = [script, 'up', '--config', file, '--control', join(directory, 'control.sock')];
    const options = { encoding: 'utf8', timeout: 20_000, killSignal: 'SIGKILL' } as const;
    const ended = spawnSync('/bin/sh', ['-c', command, process.execPath, ...words], options);
    expect({ status: ended.status, signal: ended.signal }).toEqual({ status: 1, signal: null });
    expect(ended.stderr).toMatch(/^heddle: Cannot start .*address space \(RLIMIT_AS\)/);
    expect(readdirSync(directory)).toEqual(['nic.yaml']);
  },
  25_000,
);

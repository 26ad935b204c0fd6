import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { heddle, mainScript } from '../../test/support/command-process.ts';
import { checkRuntime, currentRuntime } from './runtime.ts';

const good = { nodeVersion: '20.19.0', cpu: 'x64', hasSimd: true };

describe('what Heddle runs on', () => {
  it('is this machine', () => {
    expect(() => checkRuntime(currentRuntime())).not.toThrow();
  });

  it.each(['20.19.0', '20.20.2', '22.0.0', '26.1.0'])('is Node %s', (nodeVersion) => {
    expect(() => checkRuntime({ ...good, nodeVersion })).not.toThrow();
  });

  it.each(['20.18.3', '18.20.0', '8.0.0'])('is not Node %s', (nodeVersion) => {
    expect(() => checkRuntime({ ...good, nodeVersion })).toThrow(
      `Cannot run on Node ${nodeVersion}: Heddle needs Node 20.19 or newer`,
    );
  });

  it('is not a CPU without SIMD', () => {
    expect(() => checkRuntime({ ...good, hasSimd: false })).toThrow(
      'Cannot start: this CPU (x64) lacks the SIMD instructions for WebAssembly',
    );
  });
});

describe('the command where it cannot run', () => {
  it('names the Node that it needs', async () => {
    const preload = join(mkdtempSync(join(tmpdir(), 'heddle-runtime-')), 'old-node.cjs');
    const versions = "{ value: { ...process.versions, node: '18.20.4' } }";
    writeFileSync(preload, `Object.defineProperty(process, 'versions', ${versions});`);
    const outcome = await heddle(['--help'], { NODE_OPTIONS: `--require ${preload}` });
    expect(outcome).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'heddle: Cannot run on Node 18.20.4: Heddle needs Node 20.19 or newer\n' +
        '  Install a newer Node, and make sure that it is first in PATH ("node --version").\n',
    });
  });

  // V8 can be told not to use SSE4.1; it then has no SIMD, as on a CPU that lacks it.
  it('names what the CPU lacks', async ({ skip }) => {
    if (process.arch !== 'x64') return skip(`${process.arch} has no SSE4.1 to turn off`);
    const { code, stdout, stderr } = await heddle([mainScript], {}, '--no-enable-sse4-1');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('lacks the SIMD instructions for WebAssembly\n  The firmware');
  });
});

import { describe, expect, it } from 'vitest';
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
      `Cannot start because Heddle needs Node 20.19 or newer: received Node ${nodeVersion}`,
    );
  });

  it('is no CPU without SIMD', () => {
    expect(() => checkRuntime({ ...good, hasSimd: false })).toThrow(
      'Cannot start because this CPU has no SIMD for WebAssembly: received x64',
    );
  });
});

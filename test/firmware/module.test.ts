import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { firmwareModule } from '../support/firmware-module.ts';

const text = readFileSync(new URL('../../build/firmware/heddle.wat', import.meta.url), 'utf8');

describe('the firmware module', () => {
  it('imports its memory and two clocks, and nothing else', () => {
    const imports = WebAssembly.Module.imports(firmwareModule());
    expect(imports).toEqual([
      { module: 'clock', name: 'now', kind: 'function' },
      { module: 'clock', name: 'cpuTime', kind: 'function' },
      { module: 'env', name: 'memory', kind: 'memory' },
    ]);
  });

  it('has no bulk instructions: V8 runs them in C++, where a missing page is fatal', () => {
    const bulk = /memory\.(copy|fill|init)|data\.drop|table\.(copy|fill|init)/g;
    expect(text.match(bulk)).toBeNull();
  });

  it('allocates nothing: no runtime is linked in', () => {
    expect(text).not.toMatch(/~lib\/rt/);
    expect(text).not.toMatch(/memory\.grow/);
    const names = WebAssembly.Module.exports(firmwareModule()).map(({ name }) => name);
    expect(names).not.toContain('__new');
  });
});

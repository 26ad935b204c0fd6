import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { c } from './libc.ts';
import { LinearMemory } from './linear-memory.ts';
import { createMemoryFile, inspectMemoryFile } from './memory-file.ts';
import { SystemError } from './system-error.ts';

const PAGE = 4096;

describe('a linear memory', () => {
  it('maps a file at an offset, and writes through to it', () => {
    const fd = createMemoryFile('shared', 2 * PAGE);
    const one = new LinearMemory(65536);
    const two = new LinearMemory(65536);
    one.map(0, 2 * PAGE, fd, 0);
    two.map(4 * PAGE, PAGE, fd, PAGE);
    new Uint8Array(one.buffer)[PAGE + 7] = 42;
    expect(new Uint8Array(two.buffer)[4 * PAGE + 7]).toBe(42);
    new Uint8Array(two.buffer)[4 * PAGE + 8] = 43;
    expect(new Uint8Array(one.buffer)[PAGE + 8]).toBe(43);
    c.close(fd);
  });

  it('is whole pages of 64 KiB at a known address', () => {
    const memory = new LinearMemory(1);
    expect(memory.sizeBytes).toBe(65536);
    expect(memory.buffer.byteLength).toBe(65536);
    expect(memory.base % PAGE).toBe(0);
    expect(memory.base).toBeGreaterThan(0);
  });

  it.each([
    [-PAGE, PAGE],
    [0, 0],
    [0, -PAGE],
    [65536, PAGE],
    [65536 - PAGE, 2 * PAGE],
    [Number.NaN, PAGE],
  ])('refuses to map %d + %d: outside is our own process', (offset, length) => {
    const memory = new LinearMemory(65536);
    const fd = createMemoryFile('outside', PAGE);
    expect(() => memory.map(offset, length, fd, 0)).toThrow(/^assertion: mapping/);
    expect(() => memory.unmap(offset, length)).toThrow(/^assertion: mapping/);
    c.close(fd);
  });

  it('reports a file that the kernel refuses', () => {
    const memory = new LinearMemory(65536);
    expect(() => memory.map(0, PAGE, -1, 0)).toThrow(SystemError);
    expect(() => memory.map(0, PAGE, -1, 0)).toThrow('mmap failed: EBADF');
  });
});

// (module (import "env" "memory" (memory 1)) (func (export "read") (param i32) (result i32)
//   local.get 0  i32.load8_u))
const READER = [
  '0061736d01000000',
  '0106016001' + '7f017f',
  '020f0103656e76066d656d6f727902000' + '1',
  '03020100',
  '070801047265616400' + '00',
  '0a0901070020002d00000b',
].join('');

const CHILD = `
  import { LinearMemory } from './dist/src/os/linear-memory.js';
  import { createMemoryFile } from './dist/src/os/memory-file.js';
  const memory = new LinearMemory(65536);
  const module = new WebAssembly.Module(Buffer.from('${READER}', 'hex'));
  const { read } = new WebAssembly.Instance(module, { env: { memory: memory.memory } }).exports;
  const fd = createMemoryFile('x', 4096);
  const attempt = (at) => {
    try { return read(at); } catch (error) { return error.constructor.name; }
  };
  new Uint8Array(memory.buffer)[8192] = 7;
  const before = attempt(8192);
  memory.unmap(8192, 4096);
  const unmapped = attempt(8192);
  const beside = attempt(4096);
  memory.map(8192, 4096, fd, 0);
  const mapped = attempt(8192);
  try { memory.map(8192, 4096, 9999, 0); } catch {}
  const refused = attempt(8192);
  console.log(JSON.stringify({ before, unmapped, beside, mapped, refused }));
`;

describe('an unmapped range', () => {
  it('traps in WebAssembly as a catchable error; so does a mapping that failed', () => {
    expect(existsSync('dist/src/os/linear-memory.js'), 'run "npm run build" first').toBe(true);
    // In a child: if this failed, the process would be gone.
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', CHILD]);
    expect(child.stderr.toString()).toBe('');
    expect(JSON.parse(child.stdout.toString())).toEqual({
      before: 7,
      unmapped: 'RuntimeError',
      beside: 0,
      mapped: 0,
      refused: 'RuntimeError',
    });
  });
});

describe('a memory file', () => {
  it('is sealed against shrinking by default', () => {
    const sealed = createMemoryFile('sealed', PAGE);
    expect(c.ftruncate(sealed, 0)).toBe(-1);
    expect(c.ftruncate(sealed, 2 * PAGE), 'growing is allowed').toBe(0);
    expect(inspectMemoryFile(sealed)).toEqual({
      isRegularFile: true,
      isWritable: true,
      isSealed: true,
      sizeBytes: 2 * PAGE,
      pageSizeBytes: 4096,
    });
    const open = createMemoryFile('open', PAGE, { sealed: false });
    expect(inspectMemoryFile(open)?.isSealed).toBe(false);
    expect(c.ftruncate(open, 0)).toBe(0);
    for (const fd of [sealed, open]) c.close(fd);
  });

  it('on hugetlbfs reports its page size', (context) => {
    let fd = -1;
    try {
      fd = createMemoryFile('huge', 0x200000, { hugePages: true });
    } catch (error) {
      return context.skip(`no huge pages here: ${(error as Error).message}`);
    }
    expect(inspectMemoryFile(fd)?.pageSizeBytes).toBe(0x200000);
    c.close(fd);
  });

  it('is null for an invalid descriptor', () => {
    expect(inspectMemoryFile(-1)).toBeNull();
    expect(inspectMemoryFile(123_456)).toBeNull();
  });
});

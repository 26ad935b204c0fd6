import { chmodSync, mkdirSync, mkdtempSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { defaultConfig } from './default.ts';
import {
  defaultControlSocket,
  ensureRuntimeDirectory,
  runtimeDirectory,
} from './runtime-directory.ts';

const base = mkdtempSync(join(tmpdir(), 'heddle-default-'));

describe('the run-time directory', () => {
  it('is in XDG_RUNTIME_DIR', () => {
    expect(runtimeDirectory({ XDG_RUNTIME_DIR: base })).toBe(`${base}/heddle`);
  });

  it('is in /tmp if it is unset or does not exist', () => {
    const fallback = `/tmp/heddle-${process.getuid!()}`;
    expect(runtimeDirectory({})).toBe(fallback);
    expect(runtimeDirectory({ XDG_RUNTIME_DIR: `${base}/none` })).toBe(fallback);
    expect(runtimeDirectory({ XDG_RUNTIME_DIR: 'relative' })).toBe(fallback);
    // A path that this user may not look into (root may, except through a link to itself).
    symlinkSync(join(base, 'loop'), join(base, 'loop'));
    expect(runtimeDirectory({ XDG_RUNTIME_DIR: `${base}/loop/of` })).toBe(fallback);
  });

  it('is created for its owner only, and reused', () => {
    const directory = join(base, 'new');
    ensureRuntimeDirectory(directory);
    ensureRuntimeDirectory(directory);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });

  it('is refused if others can create sockets in it', () => {
    const open = join(base, 'open');
    mkdirSync(open);
    chmodSync(open, 0o777);
    expect(() => ensureRuntimeDirectory(open)).toThrow(': others may write to it');
    const link = join(base, 'link');
    symlinkSync(base, link);
    expect(() => ensureRuntimeDirectory(link)).toThrow(': it is not a directory');
    writeFileSync(join(base, 'file'), '');
    expect(() => ensureRuntimeDirectory(join(base, 'file'))).toThrow('it is not a directory');
    expect(() => ensureRuntimeDirectory(join(base, 'a', 'b'))).toThrow('(ENOENT)');
  });
});

describe('without a file', () => {
  it('there are two VFs', () => {
    const { vfs } = defaultConfig('/run/user/1/heddle');
    expect(vfs.map(({ socket }) => socket)).toEqual([
      '/run/user/1/heddle/vm1.sock',
      '/run/user/1/heddle/vm2.sock',
    ]);
  });

  it('HEDDLE_CONTROL names the control socket', () => {
    expect(defaultControlSocket({ HEDDLE_CONTROL: '/c' })).toBe('/c');
    expect(defaultControlSocket({ XDG_RUNTIME_DIR: base })).toBe(`${base}/heddle/control.sock`);
  });
});

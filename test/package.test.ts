import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { heddle } from './support/command-process.ts';
import { TestNic } from './support/test-nic.ts';

// The contents of the package: the product and the test kit, without our tests and benchmarks.

interface Manifest {
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
}

interface Tarball {
  filename: string;
  files: { path: string }[];
}

const root = fileURLToPath(new URL('..', import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
const directory = mkdtempSync(join(tmpdir(), 'heddle-package-'));
const installed = join(directory, 'node_modules/heddle');
let paths: string[];

beforeAll(() => {
  const words = ['pack', '--json', '--ignore-scripts', '--pack-destination', directory];
  const [tarball] = JSON.parse(
    execFileSync('npm', words, { cwd: root, encoding: 'utf8' }),
  ) as Tarball[];
  if (tarball === undefined) throw new Error('npm packed nothing');
  paths = tarball.files.map(({ path }) => path);
  mkdirSync(installed, { recursive: true });
  const archive = join(directory, tarball.filename);
  execFileSync('tar', ['-xzf', archive, '-C', installed, '--strip-components=1']);
  for (const name of Object.keys(manifest.dependencies)) {
    const link = join(directory, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), link);
  }
});
afterAll(() => rmSync(directory, { recursive: true }));

describe('the package', () => {
  it('contains the product, its firmware and its schema, and nothing else', () => {
    const compiled = /^dist\/(src|layout)\/[\w/-]+\.(js|d\.ts)$/;
    const others = paths.filter((path) => !compiled.test(path)).sort();
    const built = ['dist/firmware/heddle.wasm', 'dist/schema.json'];
    expect(others).toEqual(['LICENSE', 'README.md', ...built, 'package.json']);
    expect(paths).toContain('dist/src/cli/main.js');
  });

  it('imports nothing that is only in a checkout', () => {
    const scripts = paths.filter((path) => /\.(js|d\.ts)$/.test(path));
    expect(scripts.length, 'the search finds scripts').toBeGreaterThan(200);
    const checkoutOnly = Object.keys(manifest.devDependencies)
      .filter((name) => !name.startsWith('@types/'))
      .join('|');
    const foreign = new RegExp(`(?:from|import)\\s*\\(?\\s*['"](${checkoutOnly})[/'"]`);
    const wrong = scripts.filter((path) =>
      foreign.test(readFileSync(join(installed, path), 'utf8')),
    );
    expect(wrong).toEqual([]);
  });

  it.each([
    ['heddle', 'createNic'],
    ['heddle/testing', 'MockGuest'],
  ])('%s can be imported from an installation', (specifier, name) => {
    const script = `import { ${name} } from '${specifier}'; console.log(typeof ${name});`;
    const words = ['--input-type=module', '--eval', script];
    const said = execFileSync(process.execPath, words, { cwd: directory, encoding: 'utf8' });
    expect(said).toBe('function\n');
  });

  it.each([
    ['guests', [0, 1], /^64 bytes from 02:00:00:00:00:01\n$/],
    ['steps', [0], /^queues: 8 bytes\n64 receive buffers\nring 0 stood at 0\n$/],
  ])('docs/testing-kit.md: %s', async (name, numbers, wanted) => {
    const lab = await TestNic.start();
    try {
      const script = join(directory, `${name}.mjs`);
      writeFileSync(script, example(name));
      const sockets = numbers.map((number) => lab.socket(number));
      const { code, stdout, stderr } = await heddle(sockets, {}, script);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toMatch(wanted);
    } finally {
      await lab.close();
    }
  });
});

/** The examples of the page, in order. */
function example(name: string): string {
  const page = readFileSync(join(root, 'docs/testing-kit.md'), 'utf8');
  const blocks = [...page.matchAll(/^```js\n(.*?)^```$/gms)].map(([, text]) => text ?? '');
  return blocks[['guests', 'steps'].indexOf(name)] ?? '';
}

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';

// The house rules that a machine can check. To change a rule, change it here.

const COLUMNS_MAX = 100;
const FUNCTION_LINES_MAX = 70;
const FILE_LINES_MAX = 400;
const TEST_LINES_MAX = 600;

/** Import order of src/, including types: a room imports from itself and from earlier ones. */
const SRC_ORDER: readonly (readonly string[])[] = [
  // Used by all others: errors, life cycles, handling of promises.
  [
    'uplink-errors',
    'sharing-errors',
    'errors',
    'events',
    'life-cycle',
    'background',
    'rate-limit',
    'back-off',
    'system-refusal',
  ],
  ['os'],
  ['state'],
  ['memory'],
  ['wires'],
  ['watchdog'],
  ['processor'],
  ['virtqueue'],
  ['vhost-user'],
  ['functions'],
  ['uplinks'],
  ['config'],
  ['nic'],
  ['api'],
  ['cli'],
  ['index'],
  ['testing'],
  ['demo'],
];
/** All that the test kit may import of the product: it is the other side of the same socket. */
const KIT_IMPORTS = /^(layout|src\/os|src\/testing)\/|^src\/vhost-user\/message\.ts$/;
/** The direction of data in the firmware: each room may import from earlier ones. */
const FIRMWARE_ORDER = [
  'headers',
  'memory',
  'counters',
  'virtqueue',
  'offload',
  'scheduler',
  'request',
  'switch',
  'net',
  'main',
];

const root = new URL('..', import.meta.url).pathname;
const tracked = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' })
  .split('\0')
  .filter((path) => path !== '' && existsSync(join(root, path)));
const sources = tracked.filter((path) => /\.(ts|mjs)$/.test(path) && !path.endsWith('.d.ts'));
const texts = new Map(sources.map((path) => [path, readFileSync(join(root, path), 'utf8')]));
const isTest = (path: string) => path.endsWith('.test.ts');
const isKit = (path: string) => path.startsWith('src/testing/');
const product = sources.filter((path) => /^(layout|firmware|src)\//.test(path) && !isTest(path));

function textOf(path: string): string {
  return texts.get(path) ?? '';
}

function linesOf(path: string): string[] {
  return textOf(path).split('\n');
}

/** `path:line` of each match, which terminals turn into a link. */
function places(paths: readonly string[], pattern: RegExp): string[] {
  return paths.flatMap((path) =>
    linesOf(path).flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}`] : [])),
  );
}

/** The files that a file imports by relative paths, as paths from the root. */
function importsOf(path: string): string[] {
  const found = [...textOf(path).matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)];
  return found.map(([, specifier]) => {
    const target = normalize(join(dirname(path), specifier ?? ''));
    return /\.(ts|mjs|js)$/.test(target) ? target : `${target}.ts`;
  });
}

/** What is loaded together with a file: neither its types, nor what it imports when it runs. */
function loadedWith(path: string): string[] {
  const found = [...textOf(path).matchAll(/^(?:import|export) (?!type\b)[^;']*from '([^']+)'/gm)];
  return found.map(([, specifier = '']) =>
    specifier.startsWith('.') ? normalize(join(dirname(path), specifier)) : specifier,
  );
}

/** src/os/poller.ts → os; src/index.ts → index. */
function roomOf(path: string): string {
  return (path.split('/')[1] ?? '').replace(/\.ts$/, '');
}

/** Place and length of each function: from its first line to the brace at the same indentation. */
function functionsOf(path: string): { place: string; lines: number }[] {
  const lines = linesOf(path);
  const start = /^(\s*)(?:export |async |static |override |get |set )*(?:function\b|#?\w+\()[^;]*$/;
  return lines.flatMap((line, index) => {
    const indent = start.exec(line)?.[1];
    if (indent === undefined || /^\s*(if|for|while|switch|return|describe|it)\b/.test(line))
      return [];
    const end = lines.findIndex((other, at) => at > index && other === `${indent}}`);
    const between = lines.slice(index + 1, end);
    // Not a function but a call if a line with a smaller indentation comes first.
    const isCall = between.some(
      (one) => one !== '' && !one.startsWith(`${indent} `) && !/^\s*\)/.test(one),
    );
    return end < 0 || isCall ? [] : [{ place: `${path}:${index + 1}`, lines: end - index + 1 }];
  });
}

describe('sizes', () => {
  it(`no line is longer than ${COLUMNS_MAX} columns`, () => {
    // Drawings and quoted sentences are not wrapped.
    const isWhole = (line: string) =>
      /[─│┌└├►◄→]|"[^"]{50,}"|'[^']{50,}'|`[^`]{50,}`|https?:/.test(line);
    const long = sources.flatMap((path) =>
      linesOf(path).flatMap((line, index) =>
        [...line].length > COLUMNS_MAX && !isWhole(line) ? [`${path}:${index + 1}`] : [],
      ),
    );
    expect(long).toEqual([]);
  });

  it(`no function is longer than ${FUNCTION_LINES_MAX} lines`, () => {
    const found = sources.flatMap(functionsOf);
    expect(found.length, 'the search finds functions').toBeGreaterThan(500);
    const long = found.filter(({ lines }) => lines > FUNCTION_LINES_MAX);
    expect(long).toEqual([]);
  });

  it(`no file is longer than ${FILE_LINES_MAX} lines, no test longer than ${TEST_LINES_MAX}`, () => {
    const long = sources.filter(
      (path) => linesOf(path).length - 1 > (isTest(path) ? TEST_LINES_MAX : FILE_LINES_MAX),
    );
    expect(long).toEqual([]);
  });
});

describe('imports', () => {
  it('layout/ imports nothing, except for the memory map, which is composed of the others', () => {
    const files = product.filter((path) => path.startsWith('layout/'));
    const importers = files.filter((path) => /^import|^export .* from/m.test(textOf(path)));
    expect(importers).toEqual(['layout/memory.ts']);
    const wrong = importsOf('layout/memory.ts').filter((target) => !target.startsWith('layout/'));
    expect(wrong).toEqual([]);
  });

  it('firmware/ imports itself and layout/, in the direction of data', () => {
    const wrong = product
      .filter((path) => path.startsWith('firmware/'))
      .flatMap((path) =>
        importsOf(path)
          .filter((target) => {
            if (target.startsWith('layout/')) return false;
            const [from, to] = [path, target].map((one) => FIRMWARE_ORDER.indexOf(roomOf(one)));
            if (from === undefined || to === undefined || from < 0 || to < 0) return true;
            return to > from;
          })
          .map((target) => `${path} → ${target}`),
      );
    expect(wrong).toEqual([]);
  });

  it('src/ never imports firmware/, test/ or bench/, and no room imports a later one', () => {
    const level = (path: string) => SRC_ORDER.findIndex((rooms) => rooms.includes(roomOf(path)));
    const wrong = product
      .filter((path) => path.startsWith('src/'))
      .flatMap((path) =>
        importsOf(path)
          .filter((target) => !target.startsWith('layout/'))
          .filter((target) => !target.startsWith('src/') || level(target) > level(path))
          .map((target) => `${path} → ${target}`),
      );
    expect(wrong).toEqual([]);
    const rooms = new Set(product.filter((path) => path.startsWith('src/')).map(roomOf));
    const unlisted = [...rooms].filter((room) => !SRC_ORDER.flat().includes(room));
    expect(unlisted, 'rooms without a place in the order').toEqual([]);
  });

  it('the test kit imports little of the product, and the product nothing from the kit', () => {
    const edges = product.flatMap((path) => importsOf(path).map((target) => ({ path, target })));
    expect(edges.filter(({ path, target }) => isKit(path) && !KIT_IMPORTS.test(target))).toEqual(
      [],
    );
    // The demo may: its built-in guests are those of the kit.
    const wrong = edges.filter(
      ({ path, target }) => isKit(target) && !isKit(path) && roomOf(path) !== 'demo',
    );
    expect(wrong).toEqual([]);
  });

  it('there are no import cycles', () => {
    const cycles: string[] = [];
    const finished = new Set<string>();
    const walk = (path: string, trail: readonly string[]): void => {
      if (finished.has(path)) return;
      const at = trail.indexOf(path);
      if (at >= 0) {
        cycles.push([...trail.slice(at), path].join(' → '));
        return;
      }
      for (const target of importsOf(path)) walk(target, [...trail, path]);
      finished.add(path);
    };
    for (const path of sources) walk(path, []);
    expect(cycles).toEqual([]);
  });

  it('only src/os calls C', () => {
    const importers = sources.filter((path) => /^import .*'koffi'/m.test(textOf(path)));
    // The TAP devices and namespaces of tests need calls that the product must not have.
    const isAllowed = (path: string) =>
      path.startsWith('src/os/') || /^test\/support\/(tap|namespace)\.ts$/.test(path);
    const wrong = importers.filter((path) => !isAllowed(path));
    expect(wrong).toEqual([]);
  });

  it('the command loads nothing but commander before it knows what it is to do', () => {
    const loaded = new Set<string>();
    const load = (path: string): void => {
      if (loaded.has(path)) return;
      loaded.add(path);
      const isFile = path.startsWith('src/') || path.startsWith('layout/');
      if (isFile) for (const next of loadedWith(path)) load(next);
    };
    load('src/cli/program.ts');
    expect(loaded).toContain('src/api/client.ts');
    const packages = [...loaded].filter((path) => !/^(src|layout)\/|^node:/.test(path));
    expect(packages).toEqual(['commander']);
  });

  it('AssemblyScript has no type imports', () => {
    const firmware = sources.filter((path) => path.startsWith('firmware/'));
    expect(places(firmware, /import type|[{,]\s*type \w+/)).toEqual([]);
  });
});

describe('what must not occur', () => {
  it('no `any`', () => {
    const typed = sources.filter((path) => path !== 'test/tidy.test.ts');
    expect(places(typed, /(?::|\bas|<|\|)\s*any\b(?!\w)(?=[\s;,)>[\]|]|$)/)).toEqual([]);
  });

  it('no default exports', () => {
    // Vitest finds its configuration and its reporter through the default export.
    const files = places(sources, /^export default/).map((place) => place.split(':')[0]);
    expect(files).toEqual(['scripts/tally-reporter.mjs', 'vitest.config.ts']);
  });

  it('no promise is ignored', () => {
    // Biome finds bare ones (noFloatingPromises). Two things hide one from it: `void work()`, and
    // an async function whose result nobody awaits.
    const hosts = product.filter((path) => path.startsWith('src/'));
    const dropped = /(?:^|[^:\s|<>])\s+void\s+[\w#(]|=>\s*void\s+[\w#(]|^\s*void\s+[\w#(]/;
    expect(places(hosts, dropped)).toEqual([]);
    const unawaited =
      /\b(?:setTimeout|setInterval|setImmediate|nextTick|queueMicrotask|on|once)\([^=]*\basync\b/;
    expect(places(hosts, unawaited)).toEqual([]);
    // The patterns must find what they are for.
    for (const line of ['  void work();', 'x(() => void work());', 'a && void work();']) {
      expect(line).toMatch(dropped);
    }
    expect("process.on('exit', async () => {").toMatch(unawaited);
    for (const line of ['  close(): void {', 'type F = () => void;', 'let f: void | null;']) {
      expect(line).not.toMatch(dropped);
    }
  });

  it('no timer throws into the event loop', () => {
    // What serves guests uses `later`, except for a timer that only resolves a promise.
    const rooms = /^src\/(?!background|api|cli|demo|testing)/;
    const hosts = product.filter((path) => rooms.test(path));
    const bare = /\bset(?:Timeout|Interval)\((?!resolve\b|\(\) => resolve\()/;
    expect(places(hosts, bare)).toEqual([]);
    expect('    setTimeout(() => this.#look(), 500);').toMatch(bare);
    for (const line of ['  setTimeout(resolve, 5);', '  setTimeout(() => resolve(null), 5);']) {
      expect(line).not.toMatch(bare);
    }
  });

  it('no deferred work', () => {
    const later = new RegExp(['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX'].join('|'));
    expect(places(sources, later)).toEqual([]);
  });

  it('no test is skipped without a reason, and none runs alone', () => {
    const tests = sources.filter(isTest).filter((path) => path !== 'test/tidy.test.ts');
    const bare = /\b(?:it|test|describe)\.(?:only|skip|todo|skipIf|runIf)\b/;
    expect(places(tests, bare)).toEqual([]);
    expect(places(tests, /\.skip\(\s*\)/)).toEqual([]);
  });

  it('no paths of one machine', () => {
    const written = tracked.filter((path) => /\.(ts|mjs|md|json|yaml)$|^\.ci\//.test(path));
    const wrong = written.filter((path) => {
      const text = readFileSync(join(root, path), 'utf8');
      return /(^|[\s"'`(])\/(work|home\/\w|root)\//m.test(text) && path !== 'test/tidy.test.ts';
    });
    expect(wrong).toEqual([]);
  });
});

describe('everything is used', () => {
  it('every constant of layout/', () => {
    // The kit is the other side of the same rings: it defines what only it needs.
    const users = product.filter((path) => !isKit(path));
    const dead = product
      .filter((path) => path.startsWith('layout/'))
      .flatMap((path) =>
        [...textOf(path).matchAll(/^export const (\w+)/gm)]
          .map(([, name]) => name ?? '')
          .filter((name) => {
            const word = new RegExp(`\\b${name}\\b`);
            return !users.some((user) => user !== path && word.test(textOf(user)));
          })
          .map((name) => `${path}: ${name}`),
      );
    expect(dead).toEqual([]);
  });

  it('every file of firmware/', () => {
    const firmware = product.filter((path) => path.startsWith('firmware/'));
    const imported = new Set(firmware.flatMap(importsOf));
    const dead = firmware.filter((path) => path !== 'firmware/main.ts' && !imported.has(path));
    expect(dead).toEqual([]);
  });
});

describe('rooms', () => {
  const isRoom =
    /^(layout|bench|examples|docs|scripts|(firmware|src|test)(\/[^/]+)?|src\/functions\/[^/]+)$/;

  it('each has a README', () => {
    const rooms = new Set([...sources.map(dirname), 'docs']);
    const bare = [...rooms].filter((room) => isRoom.test(room) && room !== 'src');
    expect(bare.filter((room) => !tracked.includes(`${room}/README.md`))).toEqual([]);
  });

  it('each README names files that exist', () => {
    const wrong = tracked
      .filter((path) => path.endsWith('/README.md'))
      .flatMap((path) => {
        const text = readFileSync(join(root, path), 'utf8');
        return [...text.matchAll(/`([\w-]+\.(?:ts|mjs|yaml|md))`/g)]
          .map(([, name]) => join(dirname(path), name ?? ''))
          .filter((named) => !existsSync(join(root, named)))
          .map((named) => `${path} names ${named}`);
      });
    expect(wrong).toEqual([]);
  });
});

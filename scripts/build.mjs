// Builds the firmware (AssemblyScript → WebAssembly), the control plane (TypeScript → JavaScript)
// and the schema of the configuration. Does nothing if no input has changed.
//
//   dist/    the contents of the package: layout, src, firmware, schema
//   build/   what tests and benchmarks run: bench, test/support, firmware/*.wat,
//            and links to dist/src and dist/layout, so that relative imports find the product

import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bootstrap } from './bootstrap.mjs';
import { root, run, step } from './steps.mjs';

const inputDirectories = ['layout', 'firmware', 'src', 'test/support', 'bench'];
const inputFiles = [
  'asconfig.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'package-lock.json',
  'scripts/build.mjs',
];
/** File times may be as coarse as the kernel's tick. */
const clockSlackMs = 20;
const stampPath = join(root, 'build/.stamp');
const firmwarePath = join(root, 'dist/firmware/heddle.wasm');
const uncheckedPath = join(root, 'build/firmware/unchecked.wasm');

export async function build() {
  const stamp = inputHash();
  const isBuilt = existsSync(firmwarePath) && existsSync(stampPath);
  if (isBuilt && readFileSync(stampPath, 'utf8') === stamp) return;
  const startedAt = Date.now();
  for (const room of ['src', 'layout']) linkProduct(room);
  await step('Building the control plane', () =>
    run('node_modules/.bin/tsc', ['-p', 'tsconfig.build.json']),
  );
  // After the control plane, whose layout hash the firmware contains.
  await step('Building the firmware', () => compileFirmware('release', 1));
  await writeSchema();
  const command = join(root, 'dist/src/cli/main.js');
  if (existsSync(command)) chmodSync(command, 0o755);
  for (const tree of ['dist', 'build']) removeOlderThan(tree, startedAt);
  writeFileSync(stampPath, stamp);
}

/**
 * The same firmware without windows, for the benchmark of their cost. A build removes that of an
 * earlier build, so if the file exists, it is up to date.
 */
export async function buildUnchecked() {
  if (existsSync(uncheckedPath)) return;
  await step('Building the firmware without windows', () => compileFirmware('unchecked', 0));
}

async function compileFirmware(target, windows) {
  const constants = [`LAYOUT_HASH=${await layoutHash()}`, `WINDOWS=${windows}`];
  return run('node_modules/.bin/asc', [
    ...['--config', 'asconfig.json', '--target', target],
    ...constants.flatMap((constant) => ['--use', constant]),
  ]);
}

/** The compiler has one output tree; links put what belongs to the product into dist/. */
function linkProduct(room) {
  mkdirSync(join(root, 'dist', room), { recursive: true });
  mkdirSync(join(root, 'build'), { recursive: true });
  const link = join(root, 'build', room);
  if (!existsSync(link)) symlinkSync(`../dist/${room}`, link);
}

/**
 * Files of an earlier build that this one did not write have no source any more. They are removed
 * last, not everything first, so that a NIC that runs from dist/ keeps its files.
 */
function removeOlderThan(tree, time) {
  const entries = readdirSync(join(root, tree), { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((one) => one.isFile())) {
    const path = join(entry.parentPath, entry.name);
    if (statSync(path).mtimeMs < time - clockSlackMs) rmSync(path);
  }
}

async function layoutHash() {
  const module = await import(pathToFileURL(join(root, 'dist/src/processor/layout-hash.js')).href);
  return module.layoutHash();
}

async function writeSchema() {
  const writer = 'dist/src/config/write-schema.js';
  if (!existsSync(join(root, writer))) return;
  await step('Writing the schema', () => run(process.execPath, [writer, 'dist/schema.json']));
}

function inputHash() {
  const hash = createHash('sha256');
  for (const path of [...inputFiles, ...inputDirectories.flatMap(filesBelow)].sort()) {
    if (!existsSync(join(root, path))) continue;
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(root, path)))
      .update('\0');
  }
  return hash.digest('hex');
}

function filesBelow(directory) {
  if (!existsSync(join(root, directory))) return [];
  return readdirSync(join(root, directory), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ts|json)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
}

if (process.argv[1] === import.meta.filename) {
  await bootstrap('build');
  await build().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}

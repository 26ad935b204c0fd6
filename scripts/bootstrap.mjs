// Prepares a fresh clone: checks Node, installs the npm packages and the Debian packages. Plain
// JavaScript without dependencies, because it runs before anything is installed. If nothing is
// missing, it takes some milliseconds.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { missingPackages } from './packages.mjs';
import { root, run, step } from './steps.mjs';

const oldestNode = [20, 19];

/**
 * Prepares the machine for `command` ("start", "test" or "bench"; "build" needs no Debian package).
 * Returns the Debian packages that are still missing, since only root can install them.
 */
export async function bootstrap(command) {
  checkNode();
  await installNpmPackages();
  const missing = missingPackages(command);
  if (missing.length === 0) return [];
  if (process.getuid() !== 0) return missing;
  await installDebianPackages(missing);
  return missingPackages(command);
}

/** The text for a user who has to install packages by hand. */
export function explainMissing(missing) {
  const names = missing.map((one) => one.name);
  return [
    'These Debian packages are missing:',
    ...missing.map((one) => `  ${one.name.padEnd(24)} ${one.purpose}`),
    'Install them with:',
    `  sudo apt-get install --no-install-recommends ${names.join(' ')}`,
  ].join('\n');
}

function checkNode() {
  const found = process.versions.node;
  const [major, minor] = found.split('.').map(Number);
  const [wantedMajor, wantedMinor] = oldestNode;
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return;
  console.error(`Heddle needs Node ${oldestNode.join('.')} or newer; this is Node ${found}.`);
  console.error(
    'Install a newer one (https://nodejs.org, or your distribution) and run this again.',
  );
  process.exit(1);
}

async function installNpmPackages() {
  if (npmPackagesMatchLock()) return;
  await step('Installing npm packages', () =>
    run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']),
  );
}

/**
 * When npm has finished, it leaves a copy of the lock file in node_modules, without the optional
 * packages for other platforms. Comparing the two is more reliable than file times, which a clone
 * or a checkout of another branch changes.
 */
function npmPackagesMatchLock() {
  const installedPath = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(installedPath)) return false;
  const wanted = readPackages(join(root, 'package-lock.json'));
  const installed = readPackages(installedPath);
  delete wanted['']; // the project itself
  const isSame = ([path, entry]) => installed[path]?.integrity === entry.integrity;
  const isAccounted = ([path, entry]) => entry.optional && installed[path] === undefined;
  return Object.entries(wanted).every((item) => isSame(item) || isAccounted(item));
}

function readPackages(path) {
  return JSON.parse(readFileSync(path, 'utf8')).packages;
}

async function installDebianPackages(missing) {
  for (const one of missing) console.log(`Missing: ${one.name} (${one.purpose})`);
  const names = missing.map((one) => one.name);
  const update = () => apt(['update', '-q']);
  if (!(await attempt('Reading the list of Debian packages', update))) return;
  if (await attempt(`Installing ${names.join(', ')}`, () => install(names))) return;
  // A package that this distribution lacks must not prevent the others.
  for (const name of names) await attempt(`Installing ${name}`, () => install([name]));
}

/** False if it failed, which has been reported. */
async function attempt(title, work) {
  try {
    await step(title, work);
    return true;
  } catch (error) {
    console.error(`${error.message}\nContinuing without it.`);
    return false;
  }
}

function install(names) {
  return apt(['install', '-q', '-y', '--no-install-recommends', ...names]);
}

function apt(words) {
  return run('apt-get', words, { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
}

if (process.argv[1] === import.meta.filename) {
  const missing = await bootstrap(process.argv[2] ?? 'test');
  if (missing.length > 0) console.log(explainMissing(missing));
  process.exitCode = missing.length > 0 ? 1 : 0;
}

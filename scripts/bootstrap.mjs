// Makes a fresh clone ready: the right Node, the npm packages, the Debian packages.
// Plain JavaScript without dependencies: it runs before anything is installed. What is there
// already is not installed again; when all is there, this takes some milliseconds.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { missingPackages } from './packages.mjs';
import { root, run, step } from './steps.mjs';

const oldestNode = [20, 19];

/**
 * Prepares the machine for `command` ("start", "test" or "bench"; "build" needs no Debian package).
 * Returns the Debian packages that are still missing, because only root may install them.
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

/** What to tell someone who has to install packages by hand. */
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
 * npm leaves a copy of the lock file in node_modules when it has finished; what it left out are
 * optional packages for other platforms. Comparing tells more than file times, which a clone and a
 * checkout of another branch both change.
 */
function npmPackagesMatchLock() {
  const installedPath = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(installedPath)) return false;
  const wanted = readPackages(join(root, 'package-lock.json'));
  const installed = readPackages(installedPath);
  delete wanted['']; // The project itself.
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
  // One that this distribution does not have must not keep the others away.
  for (const name of names) await attempt(`Installing ${name}`, () => install([name]));
}

/** False if it failed, which has been said. */
async function attempt(title, work) {
  try {
    await step(title, work);
    return true;
  } catch (error) {
    console.error(`${error.message}\nCarrying on without.`);
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

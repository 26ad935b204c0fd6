// `heddle up`: one NIC in the foreground, until a signal ends it.

import { type Command, Option } from 'commander';
import { type Logger, pino } from 'pino';
import { createApi } from '../api/app.ts';
import { qemuArguments, shellText } from '../api/attach.ts';
import { makeWay, openControlSocket } from '../api/control-socket.ts';
import { EVENT_NAMES } from '../api/events.ts';
import { installedQemuVersion } from '../api/qemu-version.ts';
import {
  defaultConfig,
  defaultControlSocket,
  ensureRuntimeDirectory,
  runtimeDirectory,
} from '../config/default.ts';
import { loadConfig } from '../config/load.ts';
import type { Nic, NicConfig } from '../nic/types.ts';
import { absolutePath, example } from './options.ts';
import { print, printJsonLine } from './output.ts';
import type { ProgramContext } from './program.ts';

/** With more VFs than this, `heddle qemu` tells about each better than a screenful at the start. */
const ATTACH_SHOWN_MAX = 4;

/** A stop must end within 2 s, whatever a guest is doing; the rest is for Node to exit. */
const CLOSE_MILLISECONDS_MAX = 1200;

const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'];

interface UpOptions {
  config?: string;
  control?: string;
  json?: true;
  logLevel: string;
}

export function addUp(program: Command, context: ProgramContext): void {
  program
    .command('up')
    .summary('run a NIC in the foreground')
    .description('Run a NIC in the foreground: with two VFs, or with those of a configuration.')
    .option('--config <file>', 'YAML file with the NIC and its VFs')
    .addOption(
      new Option('--control <socket>', 'where the other commands reach this NIC').argParser(
        absolutePath,
      ),
    )
    .option('--json', 'print one JSON object per event')
    .addOption(
      new Option('--log-level <level>', 'log to stderr').choices(LOG_LEVELS).default('warn'),
    )
    .addHelpText('after', example('heddle up', 'heddle up --config nic.yaml --json'))
    .action((options: UpOptions) => up(options, context));
}

async function up(options: UpOptions, context: ProgramContext): Promise<void> {
  const log = pino({ level: options.logLevel }, pino.destination({ fd: 2, sync: true }));
  const stopped = stopSignal();
  const config = configOf(options);
  const control = options.control ?? config.control ?? defaultControlSocket();
  if (control.startsWith(`${runtimeDirectory()}/`)) ensureRuntimeDirectory(runtimeDirectory());
  // Before the NIC touches any socket: a second `heddle up` must say that the first one runs.
  await makeWay(control);
  const nic = await context.createNic(config);
  try {
    const onInternalError = (error: unknown): void => log.error(error, 'request failed');
    const server = await openControlSocket(createApi(nic, { onInternalError }), control);
    if (options.json) printEventsAsJson(nic);
    else printEvents(nic);
    announce(nic.config(), control, options);
    log.info({ control }, 'ready');
    const signal = await stopped;
    log.info({ signal }, 'stopping');
    await atMost(CLOSE_MILLISECONDS_MAX, Promise.all([server.close(), nic.close()]), log);
  } catch (error) {
    await atMost(CLOSE_MILLISECONDS_MAX, nic.close(), log);
    throw error;
  }
  if (options.json) printJsonLine({ event: 'stopped' });
  // A guest's thread or a half-closed connection must not keep the process alive.
  process.exit(0);
}

function configOf(options: UpOptions): NicConfig {
  if (options.config !== undefined) return loadConfig(options.config);
  ensureRuntimeDirectory(runtimeDirectory());
  return defaultConfig();
}

function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, resolve);
  });
}

async function atMost(milliseconds: number, work: Promise<unknown>, log: Logger): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      log.warn({ milliseconds }, 'still closing; leaving anyway');
      resolve();
    }, milliseconds);
  });
  await Promise.race([work, timeout]);
  clearTimeout(timer);
}

function announce(config: NicConfig, control: string, options: UpOptions): void {
  if (options.json) {
    const vfs = config.vfs.map(({ name, socket, mode, mac }) => ({ name, socket, mode, mac }));
    printJsonLine({ event: 'ready', name: config.name, control, vfs });
    return;
  }
  const { vfs } = config;
  print(`${config.name}: control socket ${control}`);
  if (vfs.length > ATTACH_SHOWN_MAX)
    print('attach a VM: heddle qemu VF, for each of the VFs below');
  for (const vf of vfs) {
    print(`\n${vf.name}  ${vf.mac}  ${vf.socket}`);
    if (vfs.length > ATTACH_SHOWN_MAX) continue;
    const words = qemuArguments(vf, { qemuVersion: installedQemuVersion() });
    print(shellText(['qemu-system-x86_64', ...words]).replace(/^/gm, '  '));
  }
  print('\nready');
}

function printEvents(nic: Nic): void {
  for (const name of EVENT_NAMES) {
    nic.on(name, (event) => {
      const time = new Date().toTimeString().slice(0, 8);
      const queue = 'queue' in event ? ` queue ${event.queue}` : '';
      const reason = 'reason' in event ? `: ${event.reason}` : '';
      const who = 'vf' in event ? event.vf : event.uplink;
      print(`${time}  ${who}${queue}  ${name}${reason}`);
    });
  }
}

function printEventsAsJson(nic: Nic): void {
  for (const name of EVENT_NAMES) nic.on(name, (event) => printJsonLine({ event: name, ...event }));
}

// What `heddle up` does: it serves until a signal ends it.

import { type Logger, pino } from 'pino';
import { createApi } from '../api/app.ts';
import { clearControlSocket, openControlSocket } from '../api/control-socket.ts';
import { inBackground, onFailure } from '../background.ts';
import { defaultConfig } from '../config/default.ts';
import { loadConfig } from '../config/load.ts';
import {
  defaultControlSocket,
  ensureRuntimeDirectory,
  runtimeDirectory,
} from '../config/runtime-directory.ts';
import type { NicConfig } from '../config/types.ts';
import { operatorError } from '../errors.ts';
import type { Nic } from '../nic/types.ts';
import { exitAtOnce } from '../os/exit.ts';
import { LineWriter } from '../os/line-writer.ts';
import { watchMainThread } from '../watchdog/watchdog.ts';
import { installLastResort } from './last-resort.ts';
import { errorText } from './output.ts';
import type { ProgramContext } from './program-context.ts';
import { watchSignals } from './signals.ts';
import { announce, droppedText, type Say, sayEvents } from './up-lines.ts';

/** A stop must end within 2 s, whatever a guest is doing; the remainder is for Node to exit. */
const CLOSE_MILLISECONDS_MAX = 1200;

/** How long a reader of the last output has to read it. */
const LAST_WORDS_MILLISECONDS_MAX = 200;

export interface UpOptions {
  config?: string;
  control?: string;
  json?: true;
  logLevel: string;
}

/**
 * All output of a running NIC goes through two writers that never block. Node's own streams would:
 * Ctrl-S in the terminal must neither stop the control plane nor keep the process from ending.
 */
export async function up(options: UpOptions, context: ProgramContext): Promise<void> {
  const isJson = options.json === true;
  const out = new LineWriter(1, { droppedText: (lines) => droppedText(lines, isJson) });
  const err = new LineWriter(2, { droppedText: (lines) => droppedText(lines, false) });
  const log = pino({ level: options.logLevel }, { write: (line) => err.write(line.trimEnd()) });
  process.removeAllListeners('warning'); // Node's own would print, and block
  process.on('warning', (warning) => log.warn(warning));
  onFailure(({ what, error }) => log.error(error, `cannot ${what}`));
  const end = async (error?: unknown): Promise<never> => {
    if (error !== undefined) err.write(errorText(error));
    await within(LAST_WORDS_MILLISECONDS_MAX, Promise.all([out.drained(), err.drained()]));
    return exitAtOnce(error === undefined ? 0 : 1);
  };
  const onReady = installLastResort(process, (error) => inBackground('end', end(error)));
  const say: Say = (text) => out.write(text);
  await serve({ options, context, log, say, onReady }).then(() => end(), end);
}

interface Service {
  options: UpOptions;
  context: ProgramContext;
  log: Logger;
  say: Say;
  /** From now on the NIC serves, and continues whatever happens. */
  onReady(): void;
}

async function serve({ options, context, log, say, onReady }: Service): Promise<void> {
  let nic: Nic | null = null;
  let isChanged = false;
  const reload = (): void => {
    isChanged = nic === null; // SIGHUP during the start: the file may have been read before
    const reading = nic?.reload(() => readAgain(options));
    inBackground('apply the configuration', reading);
  };
  const stopped = watchSignals(reload);
  const config = configOf(options);
  const control = options.control ?? config.control ?? defaultControlSocket();
  if (control.startsWith(`${runtimeDirectory()}/`)) ensureRuntimeDirectory(runtimeDirectory());
  // Before the NIC touches any socket: a second `heddle up` must say that another NIC is running.
  clearControlSocket(control);
  nic = await context.createNic(config);
  try {
    const onInternalError = (error: unknown): void => log.error(error, 'request failed');
    const server = await openControlSocket(createApi(nic, { onInternalError }), control);
    sayEvents(nic, options.json === true, say);
    onReady();
    if (isChanged) reload();
    const watch = watchMainThread();
    announce(nic.config(), control, options.json === true, say);
    log.info({ control }, 'ready');
    const signal = await stopped;
    log.info({ signal }, 'stopping');
    await closeInTime(Promise.all([watch.end(), server.close(), nic.close()]), log);
  } catch (error) {
    await closeInTime(nic.close(), log);
    throw error;
  }
  if (options.json) say(JSON.stringify({ event: 'stopped' }));
}

function configOf(options: UpOptions): NicConfig {
  if (options.config !== undefined) return loadConfig(options.config);
  ensureRuntimeDirectory(runtimeDirectory());
  return defaultConfig();
}

function readAgain({ config }: UpOptions): NicConfig {
  if (config === undefined) throw operatorError('HEDDLE_CONFIG_NO_FILE', { received: 'SIGHUP' });
  return loadConfig(config);
}

async function closeInTime(closing: Promise<unknown>, log: Logger): Promise<void> {
  if (await within(CLOSE_MILLISECONDS_MAX, closing)) return;
  log.warn({ milliseconds: CLOSE_MILLISECONDS_MAX }, 'still closing; leaving anyway');
}

/** False if the work is not finished by then. */
async function within(milliseconds: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), milliseconds);
  });
  const isDone = await Promise.race([work.then(() => true), timeout]);
  clearTimeout(timer);
  return isDone;
}

// Runs other programs and shows progress meanwhile.

import { spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's directory. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

const isTerminal = process.stderr.isTTY === true;
const heartbeatMs = isTerminal ? 200 : 10_000;
const tailLength = 4000;

let newestLine = '';

/** Prints a title, the newest line of output meanwhile, and how long it took. */
export async function step(title, action) {
  const startedAt = Date.now();
  const seconds = () => ((Date.now() - startedAt) / 1000).toFixed(1);
  newestLine = '';
  const show = () => {
    if (!isTerminal) return console.error(`  … ${seconds()} s  ${newestLine.slice(0, 80)}`);
    const line = `${title} … ${seconds()} s  ${newestLine}`;
    process.stderr.write(`\r\x1b[K${line.slice(0, (process.stderr.columns ?? 80) - 1)}`);
  };
  if (!isTerminal) console.error(`${title} …`);
  const heartbeat = setInterval(show, heartbeatMs);
  const end = (word) => {
    clearInterval(heartbeat);
    const line = `${title}: ${word} in ${seconds()} s\n`;
    process.stderr.write(isTerminal ? `\r\x1b[K${line}` : line);
  };
  try {
    const result = await action();
    end('done');
    return result;
  } catch (error) {
    end('failed');
    throw error;
  }
}

/** Runs a program quietly; if it fails, its output becomes part of the error. */
export function run(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: root,
      ...options,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const take = (chunk) => {
      output = (output + chunk).slice(-tailLength);
      newestLine = output.trimEnd().split('\n').at(-1).trim();
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) return resolve(output);
      const how = signal === null ? `exit code ${code}` : signal;
      reject(new Error(`"${program} ${args.join(' ')}" ended with ${how}:\n${output.trimEnd()}`));
    });
  });
}

/** Runs a program in the foreground, forwards signals, and returns its exit code. */
export function runInForeground(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, stdio: 'inherit', ...options });
    // A terminal's Ctrl-C also reaches the child; a signal to this process alone does not.
    const forward = (signal) => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, forward);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(name, forward);
      resolve(code ?? (signal === 'SIGINT' ? 130 : 143));
    });
  });
}

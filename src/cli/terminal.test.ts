// `heddle up` and the terminal it was started from.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdtempSync, openSync, readSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { fakeScript } from '../../test/support/command-process.ts';
import { ControlClient } from '../api/client.ts';
import { c } from '../os/libc.ts';
import { scratch } from '../os/scratch.ts';

const TIOCSPTLCK = 0x40045431;
const TIOCGPTN = 0x80045430;
const CTRL_S = '\x13';
const CTRL_Q = '\x11';

/** `heddle up` with a pseudo-terminal as its three standard descriptors. */
class UpInTerminal {
  readonly process: ChildProcess;
  readonly client: ControlClient;
  readonly #master: number;
  #isOpen = true;
  text = '';

  constructor() {
    const { O_RDWR, O_NOCTTY, O_NONBLOCK } = constants;
    this.#master = openSync('/dev/ptmx', O_RDWR | O_NOCTTY | O_NONBLOCK);
    scratch.view.setInt32(0, 0, true);
    c.ioctl(this.#master, TIOCSPTLCK, scratch.address); // unlocked
    c.ioctl(this.#master, TIOCGPTN, scratch.address);
    const slave = openSync(`/dev/pts/${scratch.view.getInt32(0, true)}`, O_RDWR | O_NOCTTY);
    const base = mkdtempSync(join(tmpdir(), 'heddle-terminal-'));
    const env = { ...process.env, XDG_RUNTIME_DIR: base, HEDDLE_CONTROL: '' };
    const stdio = [slave, slave, slave];
    this.process = spawn(process.execPath, [fakeScript, 'up'], { env, stdio, detached: true });
    this.client = new ControlClient(join(base, 'heddle', 'control.sock'));
    closeSync(slave);
  }

  press(key: string): void {
    writeSync(this.#master, key);
  }

  /** Reads until the terminal shows something. */
  async shows(pattern: RegExp): Promise<void> {
    const bytes = Buffer.alloc(65_536);
    for (const end = Date.now() + 20_000; !pattern.test(this.text) && Date.now() < end; ) {
      try {
        this.text += bytes.toString('utf8', 0, readSync(this.#master, bytes));
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    expect(this.text).toMatch(pattern);
  }

  /** Makes its NIC report events, two lines each. */
  async report(times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      this.process.kill('SIGUSR2');
      await this.client.nic(); // pending signals of one kind do not queue up
    }
  }

  /** Closes the terminal's window. */
  hangUp(): void {
    if (this.#isOpen) closeSync(this.#master);
    this.#isOpen = false;
  }
}

const running: UpInTerminal[] = [];

async function start(): Promise<UpInTerminal> {
  const up = new UpInTerminal();
  running.push(up);
  await up.shows(/\nready/);
  return up;
}

afterEach(() => {
  for (const up of running.splice(0)) {
    up.process.kill('SIGKILL');
    up.hangUp();
  }
});

describe('heddle up in a terminal', () => {
  it('continues after Ctrl-S, and shows what it buffered after Ctrl-Q', async () => {
    const up = await start();
    up.press(CTRL_S);
    await up.report(3);
    expect(await up.client.vfs()).toHaveLength(2);
    expect(up.text).not.toContain('fault');
    up.press(CTRL_Q);
    await up.shows(/(vm1 queue 1 {2}fault[\s\S]*){3}/);
  });

  it('ends after Ctrl-S', async () => {
    const up = await start();
    up.press(CTRL_S);
    await up.report(1);
    up.process.kill('SIGTERM');
    // Nobody presses Ctrl-Q: if it waited for its terminal, it would never end.
    expect(await once(up.process, 'exit')).toEqual([0, null]);
  });

  it('ends on SIGHUP when the terminal is closed', async () => {
    const up = await start();
    up.hangUp();
    up.process.kill('SIGHUP');
    expect(await once(up.process, 'exit')).toEqual([0, null]);
  });

  it('reloads its file on SIGHUP while the terminal exists', async () => {
    const up = await start();
    up.process.kill('SIGHUP');
    await up.shows(/nic0 {2}config-refused: .*started without a file/);
    expect(await up.client.vfs()).toHaveLength(2);
  });

  it('continues without the terminal if no signal ends it', async () => {
    const up = await start();
    up.hangUp();
    await up.report(2);
    expect(await up.client.vfs()).toHaveLength(2);
  });
});

import { type ChildProcess, spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';

const built = new URL('../../dist/src/', import.meta.url);

/** A process whose only thread is watched and does some work between two beats. */
function watched(work: string): ChildProcess {
  const script = `
    import { spawn, execFileSync } from 'node:child_process';
    import { setTimeout as sleep } from 'node:timers/promises';
    import { watchMainThread, watchProcessor } from '${built}watchdog/watchdog.js';
    import { Pulse } from '${built}watchdog/pulse.js';
    import { c } from '${built}os/libc.js';
    const say = (text) => process.stdout.write(text + '\\n');
    const begin = () => {
      const watch = watchProcessor({ name: 'the thread' });
      const pulse = new Pulse(watch.pulse);
      pulse.begin();
      return pulse;
    };
    const spin = (seconds) => {
      for (const end = performance.now() + 1000 * seconds; performance.now() < end; );
    };
    /** Blocked in poll(2) for this long, with nothing to wait for. */
    const block = (seconds) => c.poll(0, 0, 1000 * seconds);
    ${work}
  `;
  return spawn(process.execPath, ['--input-type=module', '--eval', script]);
}

interface End {
  status: number | null;
  errors: string;
}

function endOf(child: ChildProcess): Promise<End> {
  let errors = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  return new Promise((resolve) => {
    child.once('close', (status) => resolve({ status, errors }));
  });
}

/** Resolves once it has printed the word. */
function said(child: ChildProcess, word: string): Promise<void> {
  return new Promise((resolve) => {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      if (text.includes(word)) resolve();
    });
  });
}

describe('the watchdog ends a process', () => {
  it('whose thread sleeps for ever in a system call, and says where', async () => {
    const { status, errors } = await endOf(watched('begin(); block(3600);'));
    expect(errors).toMatch(/the thread hangs.*it sleeps in \S+, system call \d+ \(HEDDLE_THREAD_S/);
    expect(errors).toContain('Restart=on-failure');
    expect(status).toBe(70);
  });

  it('whose thread loops for ever', async () => {
    const { status, errors } = await endOf(watched('begin(); spin(3600);'));
    expect(errors).toContain('it runs without finishing a turn');
    expect(status).toBe(70);
  });

  it('whose main thread does not answer', async () => {
    const child = watched('watchMainThread(); setTimeout(() => block(3600), 700);');
    const { status, errors } = await endOf(child);
    expect(errors).toContain('the main thread hangs');
    expect(status).toBe(70);
  });
});

describe('the watchdog leaves a process alone', () => {
  const fine = { status: 0, errors: '' };

  it('that was stopped in the middle of a turn', async () => {
    const child = watched(`
      const pulse = begin();
      pulse.rest(true);
      await sleep(1000);
      pulse.rest(false);
      say('begun');
      block(4.5); // 0.7 s before the stop, 0.8 s after it
      pulse.rest(true);
      process.exit(0);
    `);
    const end = endOf(child);
    await said(child, 'begun');
    await new Promise((resolve) => setTimeout(resolve, 700));
    child.kill('SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 3000));
    child.kill('SIGCONT');
    expect(await end).toEqual(fine);
  });

  it('whose thread is starved of CPU by others', async () => {
    const child = watched(`
      const pulse = begin();
      pulse.rest(true);
      await sleep(1000); // the watchdog's thread runs, with CPUs and priority of its own
      spawn('taskset', ['-c', '0', 'timeout', '6', 'sh', '-c', 'while :; do :; done']);
      execFileSync('taskset', ['-c', '-p', '0', String(process.pid)]);
      execFileSync('chrt', ['--idle', '--pid', '0', String(process.pid)]);
      pulse.rest(false);
      spin(5);
      pulse.rest(true);
      process.exit(0);
    `);
    expect(await endOf(child)).toEqual(fine);
  });

  it('whose threads rest, answer, or wait for a child', async () => {
    const child = watched(`
      begin().rest(true);
      watchMainThread();
      execFileSync('sleep', ['3']);
      setTimeout(() => process.exit(0), 1500);
    `);
    expect(await endOf(child)).toEqual(fine);
  });

  it.each([
    ['and stops watching first', 'await watchMainThread().end(); process.exit(0);'],
    ['abruptly', 'watchMainThread(); process.exit(0);'],
    ['with a thread that has not begun', 'watchProcessor({ name: "late" }); process.exit(0);'],
  ])('that ends while the watchdog is still loading, %s', async (_, work) => {
    expect(await endOf(watched(work))).toEqual(fine);
  });

  it('that waits at its end for threads, of which one has ended before', async () => {
    const child = watched(`
      const ended = watchProcessor({ name: 'one that has ended' });
      const pulse = new Pulse(ended.pulse);
      pulse.begin();
      pulse.end();
      const started = performance.now();
      ended.awaitEnd();
      if (performance.now() - started > 500) say('it waits in vain');
      await ended.end();
      // The next thread has its slot, and has not begun.
      const next = watchProcessor({ name: 'one that begins late' });
      const from = performance.now();
      next.awaitEnd();
      if (performance.now() - from < 500) say('it does not wait');
      process.exit(0);
    `);
    const end = endOf(child);
    let words = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      words += text;
    });
    expect(await end).toEqual(fine);
    expect(words).toBe('');
  });

  it('that has nothing left to do', async () => {
    const child = watched(`
      watchMainThread();
      await sleep(1000); // and is asked once
    `);
    expect(await endOf(child), 'it keeps no process alive').toEqual(fine);
  });
});

import { execFileSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { milliseconds, standstillsOf } from './standstill-record.ts';

// A thread that is bound to one CPU with the highest priority there and wakes every millisecond. If
// it wakes late, its CPU stood still: on a virtual machine, the host had taken it.

const PERIOD_MILLISECONDS = 1;
/** Later than a timer ever is on a CPU that runs. */
const LATE_MILLISECONDS = 1.5;

interface WatchSettings {
  memory: SharedArrayBuffer;
  cpu: number;
}

function goFirstOn(cpu: number): void {
  const thread = readlinkSync('/proc/thread-self').split('/').at(-1) ?? '';
  execFileSync('taskset', ['--cpu-list', '--pid', String(cpu), thread], { stdio: 'ignore' });
  execFileSync('chrt', ['--fifo', '--pid', '1', thread], { stdio: 'ignore' });
}

function watch({ memory, cpu }: WatchSettings): never {
  const record = new Float64Array(memory);
  const { seen, count, at } = standstillsOf(cpu);
  const never = new Int32Array(new SharedArrayBuffer(4));
  let last = milliseconds();
  for (;;) {
    Atomics.wait(never, 0, 0, PERIOD_MILLISECONDS);
    const now = milliseconds();
    const due = last + PERIOD_MILLISECONDS;
    if (now - due > LATE_MILLISECONDS) {
      const number = record[count] ?? 0;
      record[at(number)] = due;
      record[at(number) + 1] = now;
      record[count] = number + 1;
    }
    record[seen] = now;
    last = now;
  }
}

if (parentPort !== null) {
  const settings = workerData as WatchSettings;
  goFirstOn(settings.cpu);
  parentPort.postMessage('begun');
  watch(settings);
}

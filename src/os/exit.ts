import { c } from './libc.ts';

/**
 * Ends the process. Node's own exit would first join its threads, one of which may be stuck, and
 * reset the terminal; Node 20 to 24 crash there if the terminal is gone.
 */
export function exitAtOnce(code: number): never {
  process.emit('exit', code);
  c.exit(code);
  throw new Error('assertion: _exit() returned');
}

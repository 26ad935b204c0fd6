import { LinearMemory } from './linear-memory.ts';

// Where C structures are built: one page at a known address per thread. A caller fills it and makes
// its call immediately, so that uses never overlap. The exception is the poller, which has its own
// memory.
const memory = new LinearMemory(65536);

export const scratch = {
  address: memory.base,
  bytes: new Uint8Array(memory.buffer),
  view: new DataView(memory.buffer),
};

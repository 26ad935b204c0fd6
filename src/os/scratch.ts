import { LinearMemory } from './linear-memory.ts';

// Where C structures are put together: one page of known address in each thread. A caller fills it
// and calls at once, so no two uses overlap. The one exception, the poller, owns its own memory.
const memory = new LinearMemory(65536);

export const scratch = {
  address: memory.base,
  bytes: new Uint8Array(memory.buffer),
  view: new DataView(memory.buffer),
};

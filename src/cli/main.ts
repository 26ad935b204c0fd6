#!/usr/bin/env node
// The `heddle` command. It checks Node and the CPU first and loads the rest afterwards: on a
// machine that lacks something, loading the rest may fail with an unhelpful message.

import { errorText } from './output.ts';
import { checkRuntime, currentRuntime } from './runtime.ts';

try {
  checkRuntime(currentRuntime());
  if (process.argv[2] === 'up') {
    // Node's own HTTP needs a WebAssembly memory too, and would fail with an unhelpful error.
    const { checkAddressSpace } = await import('../processor/budgets.ts');
    checkAddressSpace(1);
  }
  const { run } = await import('./program.ts');
  process.exitCode = await run(process.argv.slice(2), {
    createNic: async (config) => (await import('../nic/nic.ts')).createNic(config),
  });
} catch (error) {
  process.stderr.write(`${errorText(error)}\n`);
  process.exitCode = 1;
}

// Run by the build: writes the JSON Schema of the configuration, for editors that check YAML while
// it is typed.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { nicSchema } from './schema.ts';

/** What a user may write (the input side), so that keys with a default are optional. */
export function jsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(nicSchema, { io: 'input', target: 'draft-2020-12' });
}

function writeSchema(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(jsonSchema(), null, 2)}\n`);
}

const [, script, target] = process.argv;
if (script === fileURLToPath(import.meta.url)) {
  if (target === undefined) {
    process.stderr.write('usage: node write-schema.js FILE\n');
    process.exitCode = 2;
  } else {
    writeSchema(target);
  }
}

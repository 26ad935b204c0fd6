import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { ConsoleLog } from './console-log.ts';

test('a panic is reported once its line is complete, and the tail is plain text', async () => {
  const console = new ConsoleLog();
  const stream = new PassThrough();
  console.listen(stream);
  const tail = new Promise((resolve) => console.once('panic', () => resolve(console.tail())));
  stream.write('\u001bc\u001b[2JBooting\r\n[ 1.0] Kernel panic - not');
  stream.write(' syncing: no init\r\n');
  expect(await tail).toBe('Booting\n[ 1.0] Kernel panic - not syncing: no init\n');
});

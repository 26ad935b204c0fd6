import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { CommandChannel } from './command-channel.ts';

/** The guest's end of the port; its writes, as strings. */
function openChannel(): { channel: CommandChannel; port: Duplex; written: string[] } {
  const written: string[] = [];
  const port = new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      written.push(String(chunk));
      done();
    },
  });
  return { channel: new CommandChannel(port), port, written };
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

test('a command is sent as one line, and its answer may arrive in pieces', async () => {
  const { channel, port, written } = openChannel();
  const answer = channel.send('echo "ä"\necho b', 5);
  expect(written).toEqual([`1 5 ${base64('echo "ä"\necho b')}\n`]);
  port.push('noise\r\ndone 1 ');
  port.push(`7 ${base64('ä\nb\n')}\r`);
  port.push('\n');
  expect(await answer).toEqual({ exitCode: 7, output: 'ä\nb\n' });
});

test('answers may arrive in any order, and an answer may be empty', async () => {
  const { channel, port } = openChannel();
  const answers = [channel.send('a', 5), channel.send('b', 5)];
  port.push(`done 2 0 ${base64('B')}\ndone 1 0 \n`);
  expect(await Promise.all(answers)).toEqual([
    { exitCode: 0, output: '' },
    { exitCode: 0, output: 'B' },
  ]);
});

test('a ready guest is reported as an event', async () => {
  const { channel, port } = openChannel();
  const version = new Promise((resolve) => channel.once('ready', resolve));
  port.push('ready 6.1.0\n');
  expect(await version).toBe('6.1.0');
});

test('an abandoned command rejects with the reason', async () => {
  const { channel } = openChannel();
  const answer = channel.send('a', 5);
  channel.abandon(new Error('it burnt'));
  await expect(answer).rejects.toThrow('it burnt');
});

test('an answer to no command rejects: the guest misread a command', async () => {
  const { channel, port } = openChannel();
  const answer = channel.send('a', 5);
  port.push('done A= 1 \n');
  await expect(answer).rejects.toThrow('The guest answered: done A= 1');
});

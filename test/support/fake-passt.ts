import { readFileSync, writeFileSync } from 'node:fs';

export interface FakePasst {
  /** What `--version` prints. */
  version?: string;
  /** Words that it refuses as passt refuses options that it does not know. */
  unknown?: readonly string[];
  /** Where each of its starts leaves its process and its words, a line of JSON each. */
  journal?: string;
  /** A listening socket: what comes over the stream goes there, and the other way. */
  relay?: string;
}

/** Writes a program that behaves towards Heddle as passt does. */
export function writeFakePasst(file: string, behaviour: FakePasst): void {
  writeFileSync(file, `#!${process.execPath}\n(${program})(${JSON.stringify(behaviour)});\n`, {
    mode: 0o755,
  });
}

export function readJournal(file: string): { pid: number; words: string[] }[] {
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as { pid: number; words: string[] });
}

/** Runs in a process of its own, as text: it may use nothing of this file. */
function program({ version, unknown = [], journal, relay }: FakePasst): void {
  const { appendFileSync } = process.getBuiltinModule('node:fs');
  const { Socket, connect } = process.getBuiltinModule('node:net');
  const words = process.argv.slice(2);
  if (words[0] === '--version') {
    process.stdout.write(`${version}\n`);
    process.exit(0);
  }
  if (journal !== undefined) {
    appendFileSync(journal, `${JSON.stringify({ pid: process.pid, words })}\n`);
  }
  const refused = words.find((word) => unknown.includes(word));
  if (refused !== undefined) {
    process.stderr.write(`passt: unrecognized option '${refused}'\nUsage: passt [OPTION]...\n`);
    process.exit(1);
  }
  const stream = new Socket({ fd: Number(words[words.indexOf('--fd') + 1]) });
  stream.on('close', () => process.exit(0));
  stream.on('error', () => process.exit(0));
  const reach = (): void => {
    if (relay === undefined) return void stream.resume();
    const far = connect(relay);
    far.on('error', () => setTimeout(reach, 5));
    far.on('connect', () => {
      stream.pipe(far);
      far.pipe(stream);
    });
  };
  reach();
}

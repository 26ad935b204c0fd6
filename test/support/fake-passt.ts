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

/**
 * Writes a program that behaves towards Heddle as passt does. A shell's script, since it must find
 * fault as fast as passt; only what passes frames on is JavaScript, beside it.
 */
export function writeFakePasst(file: string, behaviour: FakePasst): void {
  const { version = '', unknown = [], journal, relay } = behaviour;
  const lines = ['#!/bin/sh', `[ "$1" = --version ] && { echo '${version}'; exit 0; }`];
  if (journal !== undefined) {
    lines.push('words=', 'for word; do words="$words,\\"$word\\""; done');
    lines.push(`echo "{\\"pid\\":$$,\\"words\\":[\${words#,}]}" >>'${journal}'`);
  }
  for (const word of unknown) {
    const complaint = `passt: unrecognized option '${word}'`;
    lines.push(
      `for word; do [ "$word" = '${word}' ] && { echo "${complaint}" >&2; exit 1; }; done`,
    );
  }
  lines.push(`exec '${process.execPath}' '${file}.mjs'`);
  writeFileSync(`${file}.mjs`, streamProgram(relay));
  writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o755 });
}

export function readJournal(file: string): { pid: number; words: string[] }[] {
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as { pid: number; words: string[] });
}

function streamProgram(relay: string | undefined): string {
  return `
    import { connect, Socket } from 'node:net';
    const stream = new Socket({ fd: 3 });
    stream.on('close', () => process.exit(0));
    stream.on('error', () => process.exit(0));
    const relay = ${JSON.stringify(relay ?? null)};
    const reach = () => {
      const far = connect(relay);
      far.on('error', () => setTimeout(reach, 5));
      far.on('connect', () => {
        stream.pipe(far);
        far.pipe(stream);
      });
    };
    if (relay === null) stream.resume();
    else reach();
  `;
}

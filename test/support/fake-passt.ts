import { readFileSync, writeFileSync } from 'node:fs';

export interface FakePasst {
  /** The output of `--version`. */
  version?: string;
  /** Options that it rejects as unknown. */
  unknown?: readonly string[];
  /** A file to which each start appends its process id and its arguments, as a line of JSON. */
  journal?: string;
  /** A listening socket, to and from which the stream is relayed. */
  relay?: string;
}

/**
 * Writes a program that behaves like passt towards Heddle. It is a shell script, because it must
 * fail as fast as passt. Only the relay is JavaScript, in a second file.
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

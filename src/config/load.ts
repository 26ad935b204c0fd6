// The configuration file: YAML whose errors name the file, the line and the column.

import { readFileSync } from 'node:fs';
import { type Document, isMap, isNode, LineCounter, type Node, parseDocument } from 'yaml';
import { OperatorError, operatorError } from '../errors.ts';
import { joined, type KeyPath, type Locate, throwProblems } from './problems.ts';
import type { NicConfig } from './types.ts';
import { completeNic } from './validate.ts';

/** Aliases may expand to this many nodes: a small file must not become a huge configuration. */
const ALIAS_COUNT_MAX = 1000;

/** An additional check of a configuration that is valid by itself. */
type Check = (config: NicConfig, locate: Locate) => OperatorError[];

export function loadConfig(file: string, check?: Check): NicConfig {
  return parseConfig(readConfig(file), file, check);
}

function readConfig(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    if (code === 'ENOENT') throw operatorError('HEDDLE_CONFIG_MISSING', { file });
    throw operatorError('HEDDLE_CONFIG_UNREADABLE', { file, reason: code }, { cause: error });
  }
}

/** `file` is only the name shown in messages. */
export function parseConfig(text: string, file: string, check: Check = () => []): NicConfig {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem !== undefined) {
    const { line, col } = lines.linePos(problem.pos[0]);
    throw syntaxError(
      `${file}:${line}:${col}`,
      problem.message,
      text.split(/\r?\n/)[line - 1] ?? '',
    );
  }
  const offsets = new Map<string, number>();
  const locate: Locate = (path, part) => {
    const offset = offsetOf(document, path, part);
    const { line, col } = lines.linePos(offset);
    const where = `${file}:${line}:${col}`;
    offsets.set(where, offset);
    return where;
  };
  try {
    const config = completeNic(toValue(document, file), locate);
    throwProblems(check(config, locate));
    return config;
  } catch (error) {
    throw inOrder(error, offsets);
  }
}

/** The problems of an error in the order of the file, from top to bottom. */
function inOrder(error: unknown, offsets: ReadonlyMap<string, number>): unknown {
  if (!(error instanceof OperatorError) || error.also.length === 0) return error;
  const offset = ({ where }: OperatorError): number => offsets.get(where ?? '') ?? 0;
  const problems = [error, ...error.also].sort((a, b) => offset(a) - offset(b));
  return joined(problems);
}

function toValue(document: Document, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: ALIAS_COUNT_MAX });
  } catch (error) {
    throw syntaxError(`${file}:1:1`, (error as Error).message, 'aliases');
  }
}

function syntaxError(where: string, message: string, line: string): Error {
  const reason = message.charAt(0).toLowerCase() + message.slice(1);
  const received = JSON.stringify(line.trim().slice(0, 120));
  return operatorError('HEDDLE_CONFIG_SYNTAX', { where, reason, received });
}

/** Where a key or its value starts; for a missing key, where its mapping starts. */
function offsetOf(document: Document, path: KeyPath, part: 'key' | 'value'): number {
  if (part === 'key') {
    const parent = nodeAt(document, path.slice(0, -1));
    const key = String(path.at(-1));
    const pair = isMap(parent) ? parent.items.find((item) => String(item.key) === key) : undefined;
    if (isNode(pair?.key)) return pair.key.range?.[0] ?? 0;
  }
  const node = nodeAt(document, path);
  if (node !== undefined || path.length === 0) return node?.range?.[0] ?? 0;
  return offsetOf(document, path.slice(0, -1), 'value');
}

function nodeAt(document: Document, path: KeyPath): Node | undefined {
  if (path.length === 0) return document.contents ?? undefined;
  // A value may be an alias, but getIn() does not look through one.
  const node = document.getIn(path, true);
  return isNode(node) ? node : undefined;
}

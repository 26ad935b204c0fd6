// From the validator's findings to messages: where, which key, what is allowed, what was found.

import type { z } from 'zod';
import { OperatorError, operatorError } from '../errors.ts';
import { SOCKET_PATH_BYTES_MAX } from './fields.ts';
import { macProblem } from './mac.ts';
import { nearest } from './nearest.ts';

export type KeyPath = readonly PropertyKey[];

/** Where the value (or the key itself) is, for example "nic.yaml:7:17" or "the request". */
export type Locate = (path: KeyPath, part: 'key' | 'value') => string;

/** What a message calls the outermost mapping, and its keys. */
export interface Root {
  label: string;
  keysAt: (path: KeyPath, input: unknown) => readonly string[];
}

type Issue = z.core.$ZodIssue;

/** vfs[0].queuePairs */
export function keyText(path: KeyPath, root: string): string {
  if (path.length === 0) return root;
  return path.reduce<string>(
    (text, part) =>
      typeof part === 'number' ? `${text}[${part}]` : text + (text && '.') + String(part),
    '',
  );
}

/** A value as shown in a message: short, and quoted if it is text. */
function receivedText(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) {
    const areNumbers = value.length > 0 && value.length <= 8 && value.every(Number.isFinite);
    return areNumbers ? value.join(', ') : `a list of ${value.length}`;
  }
  if (typeof value === 'object') return 'a mapping';
  if (typeof value !== 'string') return String(value);
  return JSON.stringify(value.length > 120 ? `${value.slice(0, 117)}...` : value);
}

function valueAt(value: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>(
    (at, part) =>
      typeof at === 'object' && at !== null
        ? (at as Record<PropertyKey, unknown>)[part]
        : undefined,
    value,
  );
}

function unknownKeys(
  issue: Issue & { code: 'unrecognized_keys' },
  root: Root,
  locate: Locate,
  input: unknown,
): OperatorError[] {
  const allowed = root.keysAt(issue.path, valueAt(input, issue.path));
  return issue.keys.map((key) => {
    const guess = nearest(key, allowed);
    const question = guess === undefined ? '' : `Did you mean "${guess}"? `;
    return operatorError('HEDDLE_CONFIG_UNKNOWN_KEY', {
      where: locate([...issue.path, key], 'key'),
      parent: keyText(issue.path, root.label),
      key: receivedText(key),
      suggestion: `${question}Allowed are ${allowed.join(', ')}.`,
    });
  });
}

function valueProblem(issue: Issue, value: unknown, root: Root, locate: Locate): OperatorError {
  const where = locate(issue.path, 'value');
  const key = keyText(issue.path, root.label);
  const allowed = issue.message;
  const received = receivedText(value);
  const name = issue.path.findLast((part) => typeof part === 'string');
  if (value === undefined)
    return operatorError('HEDDLE_CONFIG_KEY_MISSING', { where, key, allowed });
  if (typeof value === 'string') {
    if (name === 'mac') {
      const reason = macProblem(value);
      return operatorError('HEDDLE_CONFIG_MAC', { where, key, allowed, reason, received });
    }
    const isPath = name === 'socket' || name === 'control' || name === 'peer';
    if (isPath && Buffer.byteLength(value) > SOCKET_PATH_BYTES_MAX) {
      const size = `${key} with ${Buffer.byteLength(value)} bytes, ${value}`;
      const limit = SOCKET_PATH_BYTES_MAX;
      return operatorError('HEDDLE_SOCKET_PATH_TOO_LONG', { where, limit, socket: size });
    }
  }
  if (typeof value === 'number' && name === 'processors') {
    return operatorError('HEDDLE_PROCESSOR_COUNT', { where, key, allowed, received });
  }
  if (issue.code === 'too_big' && Array.isArray(value)) {
    const limit = Number(issue.maximum);
    return operatorError('HEDDLE_TOO_MANY_VFS', { limit, received: `${value.length} in ${where}` });
  }
  // A fraction instead of a whole number is a wrong value to a reader, but a wrong type to zod.
  const isNumber = typeof value === 'number' && 'expected' in issue && issue.expected === 'int';
  const isType = issue.code === 'invalid_type' && !isNumber;
  const code = isType ? 'HEDDLE_CONFIG_TYPE' : 'HEDDLE_CONFIG_VALUE';
  return operatorError(code, { where, key, allowed, received });
}

/** All problems of one input, one per key, in the order of the schema. */
export function problemsOf(
  error: z.ZodError,
  input: unknown,
  root: Root,
  locate: Locate,
): OperatorError[] {
  const seen = new Set<string>();
  return error.issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') return unknownKeys(issue, root, locate, input);
    const key = keyText(issue.path, root.label);
    if (seen.has(key)) return [];
    seen.add(key);
    return [valueProblem(issue, valueAt(input, issue.path), root, locate)];
  });
}

/** Throws the first problem, which carries the others. */
export function throwProblems(problems: readonly OperatorError[]): void {
  const error = joined(problems);
  if (error !== undefined) throw error;
}

/** The first problem, which carries the others. */
export function joined(problems: readonly OperatorError[]): OperatorError | undefined {
  const [first, ...also] = problems;
  if (first === undefined) return undefined;
  const { code, status, message, hint, where } = first;
  const fields = { code, status, message, hint, ...(where === undefined ? {} : { where }) };
  return new OperatorError(fields, { also });
}

import { describe, expect, it } from 'vitest';
import { asOperatorError, ERROR_TABLE, OperatorError, operatorError } from './errors.ts';

const entries = Object.entries(ERROR_TABLE);

/**
 * {where} → _where_: the braces do not appear in a message, so a reader should not search for them.
 */
const shown = (template: string): string => template.replace(/\{(\w+)\}/g, '_$1_');

function page(): string {
  const sections = entries.map(
    ([code, { status, message, hint }]) =>
      `## ${code}\n\n> ${shown(message)}\n\n` +
      `What to do: ${shown(hint)}\n\nHTTP status ${status}.\n`,
  );
  return [
    '# Errors',
    '',
    'Every error that Heddle reports to its operator. The command prints it to stderr with exit',
    'code 1, the HTTP API answers with `{"code", "message", "hint"}`, and the package throws an',
    '`OperatorError` with the same fields. Codes are stable; messages may be improved. Words in',
    'italics are replaced by actual values.',
    '',
    '<!-- Rendered from src/errors.ts; run "npx vitest run src/errors.test.ts -u" to update it. -->',
    '',
    ...sections,
  ].join('\n');
}

describe('the table of errors', () => {
  it('is what docs/errors.md shows', async () => {
    await expect(page()).toMatchFileSnapshot('../docs/errors.md');
  });

  it.each(entries)('%s is one sentence with a hint', (code, entry) => {
    expect(code).toMatch(/^HEDDLE(_[A-Z]+)+$/);
    expect(entry.message).toMatch(/^[A-Z].+[^.]$/);
    expect(entry.hint).toMatch(/^(\{suggestion\}|[A-Z"].+\.)$/);
    expect(entry.status).toBeGreaterThanOrEqual(400);
  });
});

describe('an operator error', () => {
  it('is found behind errors of the system, whoever called it', () => {
    const known = (message: string, code: string) =>
      asOperatorError(Object.assign(new Error(message), { code }))?.code;
    expect(known('socket failed: EMFILE', 'EMFILE')).toBe('HEDDLE_FILE_DESCRIPTORS');
    expect(known('io_setup failed: EAGAIN', 'EAGAIN')).toBe('HEDDLE_AIO_MISSING');
    expect(known('bind failed: EAGAIN', 'EAGAIN')).toBeUndefined();
  });

  it('has its parameters in the message, and its fields', () => {
    const cause = new Error('ENOENT');
    const error = operatorError('HEDDLE_CONFIG_MISSING', { file: '/a{b}' }, { cause });
    expect(error).toBeInstanceOf(OperatorError);
    expect(error).toMatchObject({
      code: 'HEDDLE_CONFIG_MISSING',
      status: 404,
      message: 'Cannot read the configuration: /a{b} does not exist',
      cause,
    });
    expect(Object.keys(JSON.parse(JSON.stringify(error)))).toEqual(['code', 'message', 'hint']);
  });

  it('takes exactly the parameters of its message', () => {
    // @ts-expect-error: vf is missing
    operatorError('HEDDLE_VF_NOT_FOUND', {});
    // @ts-expect-error: this message has no file
    operatorError('HEDDLE_VF_NOT_FOUND', { vf: 'a', file: 'b' });
  });
});

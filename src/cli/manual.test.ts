import type { Command } from 'commander';
import { expect, it } from 'vitest';
import { createProgram } from './program.ts';

function helpText(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
    getOutHelpWidth: () => 90,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return text.trimEnd();
}

function sections(command: Command, path: string): string[] {
  const own = `## ${path}\n\n\`\`\`text\n${helpText(command)}\n\`\`\`\n`;
  return [own, ...command.commands.flatMap((sub) => sections(sub, `${path} ${sub.name()}`))];
}

const introduction = `# The heddle command

Commands other than \`up\`, \`check\` and \`qemu --config\` talk to the running NIC over its
control socket: \`--control\`, otherwise \`HEDDLE_CONTROL\`, otherwise
\`$XDG_RUNTIME_DIR/heddle/control.sock\` (without such a directory,
\`/tmp/heddle-UID/control.sock\`). Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 70 a
thread of the NIC hung. An error is one sentence and a hint on stderr: [errors](errors.md).

<!-- Rendered from the help texts by src/cli/manual.test.ts: run "npx vitest run
src/cli/manual.test.ts -u" to update it. -->
`;

it('docs/cli.md shows what --help shows', async () => {
  const program = createProgram({ createNic: () => Promise.reject(new Error('not here')) });
  const page = [introduction, ...sections(program, 'heddle')].join('\n');
  await expect(page).toMatchFileSnapshot('../../docs/cli.md');
});

import * as layout from '../../layout/counters.ts';

/** The drop reasons in the order of their numbers: DROP_BUFFER_ADDRESS is `bufferAddress`. */
export const DROP_NAMES: readonly string[] = dropNames();

function dropNames(): string[] {
  const names: string[] = [];
  for (const [constant, number] of Object.entries(layout)) {
    if (!constant.startsWith('DROP_') || constant === 'DROP_REASON_COUNT') continue;
    names[number] = camelCase(constant.slice('DROP_'.length));
  }
  return names;
}

function camelCase(name: string): string {
  return name.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}

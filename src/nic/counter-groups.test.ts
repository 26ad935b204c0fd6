import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as layout from '../../layout/counters.ts';
import * as virtqueue from '../../layout/virtqueue.ts';
import { RING_COUNTERS } from '../state/counter-table.ts';
import { DROP_REASONS } from '../state/drop-reasons.ts';
import { FAULT_REASONS } from '../state/ring-problem.ts';
import { PORT_COUNTERS, PROCESSOR_GROUPS } from './counter-groups.ts';

const groups = [...PORT_COUNTERS, ...PROCESSOR_GROUPS];
const drops: [string, { of: readonly string[]; help: string; remedy?: string }][] =
  Object.entries(DROP_REASONS);

/** Pads each column to its widest cell, so that the source of the page is readable, too. */
function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const width = (column: number) =>
    Math.max(...[header, ...rows].map((row) => row[column]?.length ?? 0));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(width(column))).join(' | ')} |`;
  const rule = `| ${header.map((_, column) => '-'.repeat(width(column))).join(' | ')} |`;
  return [line(header), rule, ...rows.map(line)].join('\n');
}

function groupTable(path: string): string {
  const group = groups.find((one) => one.path.join('.') === path);
  const rows = Object.entries(group?.counters ?? {}).map(([name, { unit, help, isGauge }]) => {
    return [`\`${name}\``, isGauge ? `${unit}, gauge` : unit, help];
  });
  return table(['counter', 'unit', 'what it counts'], rows);
}

function queueTable(): string {
  const rows = Object.entries(RING_COUNTERS).map(([name, { of, unit, help }]) => {
    return [`\`${name}\``, of.join(', '), unit, help];
  });
  return table(['counter', 'of', 'unit', 'what it counts'], rows);
}

function ordinaryDrops(): string {
  const rows = drops.flatMap(([name, { of, help, remedy }]) =>
    remedy === undefined ? [] : [[`\`${name}\``, of.join(', '), help, remedy]],
  );
  return table(['reason', 'where', 'what happened', 'what helps'], rows);
}

function mistakes(): string {
  const rows = drops.flatMap(([name, { of, help, remedy }]) =>
    remedy === undefined ? [[`\`${name}\``, of.join(', '), help]] : [],
  );
  return table(['reason', 'where', 'what was wrong'], rows);
}

function faultTable(): string {
  const rows = Object.entries(FAULT_REASONS).map(([name, { help, remedy }]) => {
    return [`\`${name}\``, help, remedy];
  });
  return table(['reason', 'what has happened', 'what helps'], rows);
}

const TABLES: Readonly<Record<string, () => string>> = {
  queues: queueTable,
  addresses: () => groupTable('addresses'),
  account: () => groupTable('account'),
  wire: () => groupTable('wire'),
  'wire drops': () => groupTable('wire.drops'),
  kernel: () => groupTable('kernel'),
  'kernel drops': () => groupTable('kernel.drops'),
  processors: () => groupTable(''),
  windows: () => groupTable('windows'),
  'ordinary drops': ordinaryDrops,
  'mistakes of guests': mistakes,
  'ring faults': faultTable,
};

/** The page with each marked table written anew from the counters, and the names of the tables. */
function rendered(page: URL): { text: string; names: string[] } {
  const names: string[] = [];
  const marked = /(<!-- table: (.+) -->\n)[\s\S]*?(<!-- end of table -->)/g;
  const text = readFileSync(page, 'utf8').replace(marked, (_, start, name: string, end) => {
    names.push(name);
    return `${start}\n${TABLES[name]?.() ?? `no such table: ${name}`}\n\n${end}`;
  });
  return { text, names };
}

describe('the pages', () => {
  const pages = ['counters', 'drops', 'ring-faults'].map(
    (name) => new URL(`../../docs/${name}.md`, import.meta.url),
  );

  it.each(pages)('%s agrees with the tables in the code', async (page) => {
    await expect(rendered(page).text).toMatchFileSnapshot(page.pathname);
  });

  it('show each table once', () => {
    const names = pages.flatMap((page) => rendered(page).names);
    expect(names.sort()).toEqual(Object.keys(TABLES).sort());
  });
});

describe('the counters', () => {
  const camelCase = (name: string) =>
    name.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  /** The table that the names of the constants would give. */
  const named = (constants: object, prefix: RegExp) =>
    Object.fromEntries(
      Object.entries(constants)
        .filter(([name]) => prefix.test(name))
        .map(([name, number]) => [camelCase(name.replace(prefix, '')), number]),
    );
  const numbers = (table: Readonly<Record<string, { readonly number: number }>>) =>
    Object.fromEntries(Object.entries(table).map(([name, { number }]) => [name, number]));

  it('have the names of their constants, and none is missing', () => {
    const { commands, ...others } = numbers(RING_COUNTERS);
    expect(commands).toBe(layout.COUNTER_PACKETS);
    const plain = /^COUNTER_(?!RECORD_SIZE|COUNT$|DROPS|FAULT_REASONS)/;
    expect(others).toEqual(named(layout, plain));
    expect(numbers(DROP_REASONS)).toEqual(named(layout, /^DROP_/));
    expect(numbers(FAULT_REASONS)).toEqual(named(virtqueue, /^RING_FAULT_(?!NONE)/));
  });

  it('are each explained in one sentence of plain text', () => {
    const texts = [...groups.filter(({ path }) => path.at(-1) !== 'faultReasons')].flatMap(
      ({ counters }) => Object.values(counters),
    );
    expect(texts.length).toBeGreaterThan(40);
    for (const { help } of texts) expect(help).toMatch(/^[A-Z][^`|]*\.$/);
  });
});

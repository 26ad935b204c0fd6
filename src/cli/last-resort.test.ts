import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { onFailure } from '../background.ts';
import { installLastResort } from './last-resort.ts';

describe.each(['uncaughtException', 'unhandledRejection'])('the last resort for an %s', (event) => {
  it('is to exit, before the NIC serves', () => {
    const host = new EventEmitter();
    const ends: unknown[] = [];
    installLastResort(host, (error) => ends.push(error));
    const error = new Error('too early');
    host.emit(event, error);
    expect(ends).toEqual([error]);
  });

  it('is a report, once the NIC serves', () => {
    const host = new EventEmitter();
    const ends: unknown[] = [];
    const serve = installLastResort(host, (error) => ends.push(error));
    serve();
    const told: string[] = [];
    const stop = onFailure(({ error }) => told.push(error.message));
    host.emit(event, new Error('nobody thought of this'));
    stop();
    expect(ends).toEqual([]);
    expect(told).toEqual(['nobody thought of this']);
  });
});

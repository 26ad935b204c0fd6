import { describe, expect, it } from 'vitest';
import { Pace, type Rest } from './pace.ts';

/** A pace whose clock advances by this much with each spin turn. */
function paceOf(microsecondsPerTurn: number) {
  const machine = { time: 0, isBusy: false, looks: 0, sentBytes: 0 };
  const pace = new Pace({
    now: () => machine.time,
    isContested: () => {
      machine.looks += 1;
      return machine.isBusy;
    },
    sentBytes: () => machine.sentBytes,
  });
  /** Spins until another kind of rest is due. */
  const next = (): Rest => {
    let rest = pace.rest();
    for (; rest === 'look'; rest = pace.rest()) machine.time += microsecondsPerTurn;
    return rest;
  };
  /** Microseconds of spinning before a sleep. */
  const spin = (): number => {
    const started = machine.time;
    expect(next()).toBe('sleep');
    return machine.time - started;
  };
  const send = (bytes: number) => {
    machine.sentBytes = (machine.sentBytes + bytes) >>> 0;
    pace.worked();
  };
  return { pace, spin, next, send, machine };
}

/** A pace that has learned to spin for long. */
function patientPace() {
  const parts = paceOf(0.1);
  for (let i = 0; i < 20; i++) parts.pace.slept(100);
  return parts;
}

describe('the pace of an idle processor', () => {
  it('begins with a short spin', () => {
    const { spin } = paceOf(0.1);
    expect(spin()).toBeGreaterThanOrEqual(30);
    expect(paceOf(0.1).spin()).toBeLessThan(40);
  });

  it('spins longer after sleeps that ended soon, up to a bound', () => {
    const { pace, spin } = paceOf(0.1);
    const first = spin();
    pace.slept(100);
    expect(spin()).toBeGreaterThan(1.5 * first);
    for (let i = 0; i < 20; i++) pace.slept(100);
    expect(spin()).toBeLessThan(300);
  });

  it('spins briefly again after long sleeps', () => {
    const { pace, spin } = patientPace();
    for (let i = 0; i < 20; i++) pace.slept(50000);
    expect(spin()).toBeLessThan(40);
  });

  it('spins longer after much work, in proportion and up to a bound', () => {
    const { pace, spin, machine, send } = paceOf(1);
    const spinAfter = (microseconds: number) => {
      pace.slept(50000);
      machine.time += microseconds;
      send(64);
      return spin();
    };
    expect(spinAfter(100)).toBeLessThan(50);
    expect(spinAfter(10000)).toBeGreaterThan(490);
    expect(spinAfter(10000)).toBeLessThan(530);
    expect(spinAfter(10000000)).toBeLessThan(1030);
    expect(spinAfter(100)).toBeLessThan(50);
  });

  it('starts over with every turn that has work', () => {
    const { pace } = paceOf(0);
    for (let i = 0; i < 1000; i++) {
      pace.worked();
      expect(pace.rest()).toBe('look');
    }
  });
});

describe('the pace of a processor on a contested core', () => {
  it('sleeps almost immediately, however soon its sleeps end', () => {
    const { pace, spin, machine } = patientPace();
    machine.isBusy = true;
    expect(spin()).toBeLessThan(20);
    machine.isBusy = false;
    pace.slept(100);
    expect(spin()).toBeGreaterThan(200);
  });

  it('notices a thread that arrives while it spins', () => {
    const { pace, machine } = patientPace();
    while (machine.time < 100) {
      expect(pace.rest()).toBe('look');
      machine.time += 0.1;
    }
    machine.isBusy = true;
    while (pace.rest() === 'look') machine.time += 0.1;
    expect(machine.time).toBeLessThan(120);
  });

  it('asks the kernel occasionally, not each turn', () => {
    const { spin, machine } = patientPace();
    spin();
    expect(machine.looks).toBeGreaterThan(10);
    expect(machine.looks).toBeLessThan(30);
  });

  it('naps while much is sent, and sleeps if a nap brought nothing', () => {
    const { next, send, machine } = patientPace();
    machine.isBusy = true;
    send(60_000);
    expect(next()).toBe('nap');
    send(60_000);
    expect(next()).toBe('nap');
    expect(next()).toBe('sleep');
  });

  it('never naps after a request or a response', () => {
    const { next, send, machine } = patientPace();
    machine.isBusy = true;
    for (let i = 0; i < 10; i++) {
      send(1514);
      expect(next()).toBe('sleep');
    }
  });

  it('keeps napping while the kernel briefly sees no other thread', () => {
    const { next, send, machine } = patientPace();
    machine.isBusy = true;
    for (let i = 0; i < 4; i++) {
      send(60_000);
      expect(next()).toBe('nap');
    }
    machine.isBusy = false;
    for (const rest of ['nap', 'nap', 'sleep']) {
      send(60_000);
      expect(next()).toBe(rest);
    }
  });

  it('ignores a kernel thread that runs for a moment', () => {
    const { pace, send, machine } = patientPace();
    send(60_000);
    machine.isBusy = true;
    while (machine.looks === 0) {
      expect(pace.rest()).toBe('look');
      machine.time += 0.1;
    }
    machine.isBusy = false;
    send(60_000);
    for (let turn = 0; turn < 500; turn++) {
      expect(pace.rest()).toBe('look');
      machine.time += 0.1;
    }
  });

  it('counts bytes modulo 2^32', () => {
    const { next, send, machine } = patientPace();
    machine.sentBytes = 0xffff_f000;
    expect(next()).toBe('sleep');
    machine.isBusy = true;
    send(0x1800);
    expect(machine.sentBytes).toBe(0x800);
    expect(next()).toBe('nap');
  });

  it('puts off senders’ interrupts during naps, for a few turns and never into a sleep', () => {
    const { pace, next, send, machine } = patientPace();
    machine.isBusy = true;
    expect(pace.putsOff).toBe(false);
    send(60_000);
    expect(next()).toBe('nap');
    const heard: boolean[] = [];
    for (let i = 0; i < 40; i++) {
      send(60_000);
      heard.push(!pace.putsOff);
      expect(next()).toBe('nap');
    }
    // From one interrupt for senders to the next.
    expect(heard.indexOf(true)).toBeLessThanOrEqual(8);
    expect(heard.filter(Boolean).length).toBeGreaterThanOrEqual(4);
    expect(heard.filter(Boolean).length).toBeLessThan(10);
    expect(next()).toBe('sleep');
    expect(pace.putsOff).toBe(false);
  });
});

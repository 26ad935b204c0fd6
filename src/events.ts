/**
 * The arguments that tell an event of `Events`: its name, and the detail that belongs to that name.
 * A union, so events of one part can be passed on as events of the whole.
 */
export type EventOf<Events> = {
  [Name in keyof Events]: [event: Name, detail: Events[Name]];
}[keyof Events];

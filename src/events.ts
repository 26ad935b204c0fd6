/**
 * The arguments that emit an event of `Events`: its name, and the detail that belongs to the name.
 * A union, so that events of one part can be passed on as events of the whole.
 */
export type EventOf<Events> = {
  [Name in keyof Events]: [event: Name, detail: Events[Name]];
}[keyof Events];

/** States and events as a table: the compiler asks for every cell, so that none is forgotten when one is added. */

type Kinds = { readonly kind: string };

/** What each event makes of each state. */
type StateTable<State extends Kinds, Event extends Kinds> = {
  readonly [S in State['kind']]: {
    readonly [E in Event['kind']]: (
      state: Extract<State, { readonly kind: S }>,
      event: Extract<Event, { readonly kind: E }>,
    ) => State;
  };
};

/** What comes after a state by an event, as the table says. */
export function transitions<State extends Kinds, Event extends Kinds>(
  table: StateTable<State, Event>,
): (state: State, event: Event) => State {
  return (state, event) => {
    // The table has this cell for exactly these two kinds, which the compiler cannot follow.
    const cell = table[state.kind as State['kind']][event.kind as Event['kind']] as (
      state: State,
      event: Event,
    ) => State;
    return cell(state, event);
  };
}

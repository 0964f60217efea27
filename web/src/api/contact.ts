/** When the service last answered, and since when it does not: the truth behind "last update". */
export interface Contact {
  lastAnswer: number | null;
  failingSince: number | null;
  needsKey: boolean;
  /** Milliseconds to add to this machine's clock to get the service's. */
  clockOffset: number;
}

let contact: Contact = { lastAnswer: null, failingSince: null, needsKey: false, clockOffset: 0 };
const listeners = new Set<() => void>();

function update(change: Partial<Contact>): void {
  contact = { ...contact, ...change };
  for (const listener of listeners) listener();
}

export const contactStore = {
  subscribe(listener: () => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
  read: (): Contact => contact,
};

const SLACK = 2000; // Date headers have whole seconds

/** What `response` says of the service's clock; without a date (a chunk of a stream, another origin) what is known stays. */
function offsetOf(response?: Response): number {
  const offset = Date.parse(response?.headers.get("date") ?? "") - Date.now();
  if (Number.isNaN(offset)) return contact.clockOffset;
  return Math.abs(offset) > SLACK ? offset : 0;
}

export function heard(response?: Response): void {
  const gone = response !== undefined && [502, 503, 504].includes(response.status);
  update({
    lastAnswer: gone ? contact.lastAnswer : Date.now(),
    failingSince: gone ? (contact.failingSince ?? Date.now()) : null,
    clockOffset: offsetOf(response),
    needsKey: contact.needsKey || response?.status === 401, // until the form has found a key and loads the page anew
  });
}

export function notHeard(): void {
  update({ failingSince: contact.failingSince ?? Date.now() });
}

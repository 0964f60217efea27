import { useEffect, useState, useSyncExternalStore } from "react";

import { type Contact, contactStore } from "../api/contact";

export const useContact = (): Contact => useSyncExternalStore(contactStore.subscribe, contactStore.read);

/** The service's time by our clock and its Date headers; moves every second. */
export function useNow(interval = 1000): number {
  const { clockOffset } = useContact();
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), interval);
    return () => clearInterval(timer);
  }, [interval]);
  return now + clockOffset;
}

/** `Idempotency-Key`s: what is sent again after a lost answer is answered again, not done again. */

/** 128 random bits in hex. `crypto.randomUUID` would need https. */
const fresh = (): string => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

export interface Once {
  /** The key of `body`: the same for the same body until `renew`. */
  key: (body: unknown) => string;
  /** What is sent from now on is meant anew: the last was answered well, or the form was edited. */
  renew: () => void;
}

export function once(): Once {
  let sent = "";
  let key = "";
  return {
    key(body) {
      const text = JSON.stringify(body);
      if (text !== sent) [sent, key] = [text, fresh()];
      return key;
    },
    renew: () => void (sent = ""),
  };
}

import { useEffect, useState } from "react";

import { reach } from "../api/client";

/** A picture of the service as a URL for styles and images; a plain link could not carry the API key. */
export function usePicture(path: string | null): string | null {
  const [shown, setShown] = useState<{ path: string; url: string } | null>(null);
  useEffect(() => {
    if (!path) return;
    let made = "";
    let gone = false;
    reach(path)
      .then((answer) => (answer.ok ? answer.blob() : null))
      .then((blob) => {
        if (gone || !blob) return;
        made = URL.createObjectURL(blob);
        setShown({ path, url: made });
      })
      .catch(() => undefined); // pictures are an addition: without them the page says the same in words
    return () => {
      gone = true;
      if (made) URL.revokeObjectURL(made);
    };
  }, [path]);
  return shown?.path === path ? shown.url : null;
}

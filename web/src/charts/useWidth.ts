import { type RefObject, useLayoutEffect, useRef, useState } from "react";

/** An element's width in CSS pixels, kept up to date. */
export function useWidth(initial = 800): [RefObject<HTMLDivElement | null>, number] {
  const element = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(initial);
  useLayoutEffect(() => {
    const node = element.current;
    if (!node) return undefined;
    const measure = (): void => setWidth(Math.max(240, Math.floor(node.clientWidth)) || initial);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(node);
    return () => observer.disconnect();
  }, [initial]);
  return [element, width];
}

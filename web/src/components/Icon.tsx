/** Line icons of 20 units, drawn for this page. Always beside text or an aria-label, hence hidden from readers. */
const PATHS: Record<string, string> = {
  check: "M4 10.500l4 4 8-9",
  cross: "M5 5l10 10M15 5L5 15",
  stop: "M6 6h8v8H6z",
  cancel: "M10 3a7 7 0 1 0 0 14a7 7 0 0 0 0-14M5.200 5.200l9.600 9.600",
  retry: "M16 10a6 6 0 1 1-2-4.500M16 3v3.500h-3.500",
  copy: "M7 7h9v9H7zM4 13V4h9",
  trash: "M4 6h12M8 6V4h4v2M6 6l.7 10h6.600L14 6",
  download: "M10 3v10M6 9.500l4 4 4-4M4 16.500h12",
  upload: "M10 14V4M6 7.500l4-4 4 4M4 16.500h12",
  search: "M9 4a5 5 0 1 0 0 10a5 5 0 0 0 0-10M13 13l4 4",
  plus: "M10 4v12M4 10h12",
  sun: "M10 6.500a3.500 3.500 0 1 0 0 7a3.500 3.500 0 0 0 0-7M10 2v2M10 16v2M2 10h2M16 10h2M4.500 4.500L6 6M14 14l1.500 1.500M15.500 4.500L14 6M6 14l-1.500 1.500",
  moon: "M15.500 12A6.500 6.500 0 0 1 8 4.500A6.500 6.500 0 1 0 15.500 12z",
  auto: "M10 3a7 7 0 1 0 0 14a7 7 0 0 0 0-14zM10 3v14",
  info: "M10 3a7 7 0 1 0 0 14a7 7 0 0 0 0-14M10 9v5M10 6.200v.3",
  warning: "M10 3.500L17.500 16.500h-15zM10 8.500v4M10 14.300v.3",
  clock: "M10 3a7 7 0 1 0 0 14a7 7 0 0 0 0-14M10 6v4l2.800 2",
  right: "M7.500 4.500L13 10l-5.500 5.500",
  fork: "M6 4v5a3 3 0 0 0 3 3h2a3 3 0 0 1 3 3v1M6 4v12M14 4v2",
  flask: "M8 3h4M9 3v5l-4.500 7.500A1 1 0 0 0 5.400 17h9.200a1 1 0 0 0 .9-1.500L11 8V3M7 12.500h6",
};

export function Icon({ name, size = 18 }: { name: keyof typeof PATHS; size?: number }) {
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 20 20" aria-hidden="true">
      <path d={PATHS[name]} fill="none" stroke="currentColor" strokeWidth={1.6} strokeLinecap="round" strokeLinejoin="round" />
    </svg>
  );
}

/** Numbers, sizes and times for people. Nothing is rounded to a claim that it is not. */
export const MISSING = "–";

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? MISSING : Math.round(value).toLocaleString("en-GB");
}

const UNITS = ["", "k", "M", "G", "T"];

/** 21 289 802 -> "21.3 M". */
export function short(value: number | null | undefined): string {
  if (value === null || value === undefined) return MISSING;
  let rest = value;
  let unit = 0;
  while (Math.abs(rest) >= 999.5 && unit < UNITS.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  const digits = unit === 0 ? 0 : rest >= 99.95 ? 0 : rest >= 9.995 ? 1 : 2;
  return unit === 0 ? String(Math.round(rest)) : `${rest.toFixed(digits)} ${UNITS[unit]}`;
}

/** A number at an axis: 20 000 -> "20 k", 0.0001 -> "1e-4". */
export function compact(value: number): string {
  const size = Math.abs(value);
  if (size > 0 && size < 1e-3) return value.toExponential().replace(/(\.\d{0,2})\d*/, "$1");
  const unit = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log10(size || 1) / 3 + 1e-9)));
  const rest = Number((value / 1000 ** unit).toPrecision(4));
  return unit === 0 ? String(rest) : `${rest} ${UNITS[unit]}`;
}

const BYTES = ["B", "kB", "MB", "GB", "TB"];

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return MISSING;
  let rest = value;
  let unit = 0;
  while (rest >= 999.5 && unit < BYTES.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? rest : rest.toFixed(rest >= 99.95 ? 0 : 1)} ${BYTES[unit]}`;
}

/** 0.9173 -> "91.73 %". */
export function percent(value: number | null | undefined, digits = 2): string {
  return value === null || value === undefined ? MISSING : `${(100 * value).toFixed(digits)} %`;
}

/** Four significant digits, in the plainest form. */
export function figure(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return MISSING;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6) return value.toExponential(digits - 2);
  return String(Number(value.toPrecision(digits)));
}

export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return MISSING;
  const whole = Math.max(0, Math.round(seconds));
  if (seconds > 0 && seconds < 1) return "< 1 s";
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  const hours = Math.floor(whole / 3600);
  if (hours < 48) return `${hours} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** "12 s ago". `now` is the service's time. */
export function ago(time: string | number | null | undefined, now: number): string {
  if (time === null || time === undefined) return MISSING;
  const seconds = (now - (typeof time === "number" ? time : Date.parse(time))) / 1000;
  if (seconds < 2) return "just now";
  if (seconds < 3600) return `${seconds < 60 ? duration(seconds) : `${Math.floor(seconds / 60)} min`} ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const TIME = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

export const clock = (time: string | null | undefined): string => (time ? CLOCK.format(new Date(time)) : MISSING);
export const timeOfDay = (time: string | null | undefined): string => (time ? TIME.format(new Date(time)) : MISSING);
export const between = (from: string, to: string | number): number =>
  ((typeof to === "number" ? to : Date.parse(to)) - Date.parse(from)) / 1000;

/** "timm:resnet34" -> "resnet34", of each of several joined by " + "; "transformers:auto", which has no name of its own, -> "transformers". */
export const bare = (architectures: string): string => architectures.split(" + ").map(plain).join(" + ");

function plain(architecture: string): string {
  const [library = "", name] = architecture.split(":");
  return name === undefined || name === "auto" ? library : name;
}

export const digest = (sha: string): string => sha.slice(0, 12);
export const words = (name: string): string => name.replaceAll("_", " ");

export function options(given: Record<string, unknown> | undefined): string {
  return Object.entries(given ?? {})
    .map(([name, value]) => `${name} ${String(value)}`)
    .join(", ");
}

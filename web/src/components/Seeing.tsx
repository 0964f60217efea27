import { type Seen, unreadable } from "../lib/seeing";

/** How a teacher was shown pictures when it was trained. */
export function SeeingFields({ seen, onChange }: { seen: Seen; onChange: (seen: Seen) => void }) {
  const text = (name: keyof Seen, label: string, placeholder: string) => (
    <label className="field">
      <span>{label}</span>
      <input value={seen[name]} onChange={(event) => onChange({ ...seen, [name]: event.target.value })} placeholder={placeholder} autoComplete="off" />
    </label>
  );
  const choice = (name: keyof Seen, label: string, values: string[]) => (
    <label className="field">
      <span>{label}</span>
      <select value={seen[name]} onChange={(event) => onChange({ ...seen, [name]: event.target.value })}>
        <option value="">as its file or architecture tells</option>
        {values.map((value) => (
          <option key={value}>{value}</option>
        ))}
      </select>
    </label>
  );
  const wrong = unreadable(seen);
  return (
    <details className="columns-help">
      <summary>How it sees pictures</summary>
      <p className="help">For a teacher of pictures that was trained elsewhere. Without it the architecture&apos;s default is assumed, mostly ImageNet&apos;s.</p>
      <div className="grid2">
        {text("mean", "Mean (of values from 0 to 1)", "0.485, 0.456, 0.406")}
        {text("std", "Standard deviation", "0.229, 0.224, 0.225")}
        {text("input_size", "Input size (pixels)", "224")}
        {text("crop_pct", "Centre crop (share)", "0.875")}
        {choice("interpolation", "Interpolation", ["nearest", "bilinear", "bicubic"])}
        {choice("channel_order", "Channel order", ["RGB", "BGR"])}
      </div>
      {wrong && (
        <p className="help error" role="alert">
          {wrong}
        </p>
      )}
    </details>
  );
}

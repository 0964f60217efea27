interface Props {
  classes: string;
  from: string;
  onClasses: (text: string) => void;
  onFrom: (from: string) => void;
}

/** What the images of WebDataset tars do not say of their classes themselves. */
export function ShardClasses({ classes, from, onClasses, onFrom }: Props) {
  return (
    <>
      <label className="field">
        <span>Where images say no class</span>
        <select value={from} onChange={(event) => onFrom(event.target.value)}>
          <option value="">their folder is the class</option>
          <option value="shards">each shard is one class, called as it is</option>
          <option value="none">they have no label</option>
        </select>
      </label>
      <label className="field">
        <span>Classes, if labels are numbers</span>
        <textarea value={classes} rows={2} spellCheck={false} placeholder="a name a line, class 0 first" onChange={(event) => onClasses(event.target.value)} />
      </label>
    </>
  );
}

/** The same as fields of a request: those that say something. */
export function classesTold(classes: string, from: string): { classes?: string[]; classes_from?: string } {
  const names = lines(classes);
  return { ...(names.length > 0 ? { classes: names } : {}), ...(from ? { classes_from: from } : {}) };
}

/** The lines of a text that say something. */
export function lines(text: string): string[] {
  return text.split("\n").map((each) => each.trim()).filter(Boolean);
}

import type { Dataset } from "../api/types";

type Sheet = NonNullable<Dataset["thumbnails"]>;

/** Pixels at which the largest tiles are drawn: four must fit into a row. */
const MOST = 96;

interface Props {
  sheet: Sheet;
  picture: string;
  row: number;
  name: string;
  /** Images that the class has; a row of the sheet has at most `columns`. */
  images: number;
}

/** One class's row of the contact sheet. */
export function Tiles({ sheet, picture, row, name, images }: Props) {
  if (row >= sheet.rows) return null;
  const shown = Math.min(sheet.columns, images);
  const side = Math.min(MOST, Math.floor((2 * sheet.tile) / 3)); // so that tiles stay sharp on dense screens
  return (
    <span
      className="tiles"
      role="img"
      aria-label={`${shown} training images of ${name}`}
      style={{
        width: shown * side,
        height: side,
        backgroundImage: `url("${picture}")`,
        backgroundSize: `${sheet.columns * side}px ${sheet.rows * side}px`,
        backgroundPosition: `0 ${-row * side}px`,
      }}
    />
  );
}

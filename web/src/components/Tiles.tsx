import type { Dataset } from "../api/types";

type Sheet = NonNullable<Dataset["thumbnails"]>;

/** Tiles are drawn at two thirds of their size, so that they stay sharp on dense screens. */
const SIDE = 42;

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
  return (
    <span
      className="tiles"
      role="img"
      aria-label={`${shown} training images of ${name}`}
      style={{
        width: shown * SIDE,
        height: SIDE,
        backgroundImage: `url("${picture}")`,
        backgroundSize: `${sheet.columns * SIDE}px ${sheet.rows * SIDE}px`,
        backgroundPosition: `0 ${-row * SIDE}px`,
      }}
    />
  );
}

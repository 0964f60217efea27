import { save } from "../lib/download";

/** The SVG as it stands on the page, as a file of its own. */
export function svgText(root: ParentNode): string {
  const svg = root.querySelector("[data-picture] svg");
  if (!svg) throw new Error("There is no picture to export yet.");
  return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(svg)}`;
}

export const saveSvg = (root: ParentNode, name: string): void => save(svgText(root), `${name}.svg`, "image/svg+xml");

/** Twice the size on the page, for slides. */
export async function savePng(root: ParentNode, name: string, factor = 2): Promise<void> {
  const text = svgText(root);
  const image = new Image();
  const url = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = () => reject(new Error("The browser could not draw the picture."));
      image.src = url;
    });
    const canvas = document.createElement("canvas");
    canvas.width = image.width * factor;
    canvas.height = image.height * factor;
    const context = canvas.getContext("2d");
    if (!context) throw new Error("The browser has no canvas to draw on.");
    context.scale(factor, factor);
    context.drawImage(image, 0, 0);
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
    if (blob) save(blob, `${name}.png`);
  } finally {
    URL.revokeObjectURL(url);
  }
}

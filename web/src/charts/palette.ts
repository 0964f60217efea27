/** Literal colours, so that an exported picture needs no stylesheet. Checked for contrast and for colour blindness. */
import type { Theme } from "../theme";

export interface Palette {
  ground: string;
  ink: string;
  muted: string;
  grid: string;
  accent: string;
  quality: string;
  separation: string;
  information: string;
  efficiency: string;
  series: string[];
}

const LIGHT: Palette = {
  ground: "#ffffff",
  ink: "#221d18",
  muted: "#6d645a",
  grid: "#ebe6df",
  accent: "#b04a17",
  quality: "#b04a17",
  separation: "#2b66a8",
  information: "#17755f",
  efficiency: "#7a4a9e",
  series: ["#b04a17", "#2b66a8", "#17755f", "#7a4a9e", "#96700b", "#b0356b", "#3f7d20", "#51606e"],
};

const DARK: Palette = {
  ground: "#1d1a17",
  ink: "#f0eae2",
  muted: "#a89f94",
  grid: "#322d28",
  accent: "#f2965c",
  quality: "#f2965c",
  separation: "#7db1ec",
  information: "#5cc5a8",
  efficiency: "#c39ae6",
  series: ["#f2965c", "#7db1ec", "#5cc5a8", "#c39ae6", "#dcb752", "#ef86b3", "#93cc70", "#a9b8c6"],
};

export const palette = (theme: Theme): Palette => (theme === "dark" ? DARK : LIGHT);

export const FONT = '"IBM Plex Sans Variable", "IBM Plex Sans", system-ui, sans-serif';

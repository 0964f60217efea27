// The page that an export writes: one file, no server. Model, runtime and words lie in it; nothing is sent anywhere.
import * as ort from "onnxruntime-web/wasm";

import { type Found, type Output, type Score, boxesOf, classesOf, labelsOf, maskOf, sharesOf } from "./answers";
import type { Described } from "./described";
import type { Raster } from "./resample";
import { isGrey, seen, tensor } from "./seeing";

const SHOWN = 10;
const MOST_PIXELS = 50_000_000;
/** A colour a class of boxes, told apart also by those who see few of them. */
const COLOURS = ["#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442", "#7a5195"];

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const text = (id: string) => element(id).textContent ?? "";

async function bytes(id: string): Promise<Uint8Array> {
  const encoded = text(id).trim();
  element(id).textContent = ""; // its memory is free again
  const found = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
  if (element(id).dataset.packed !== "gzip") return found;
  const stream = new Blob([found]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function open(): Promise<ort.InferenceSession> {
  ort.env.wasm.numThreads = 1; // more need headers that a file has not
  ort.env.wasm.wasmBinary = await bytes("runtime");
  return ort.InferenceSession.create(await bytes("model"), { executionProviders: ["wasm"] });
}

/** The picture's own pixels: not turned as EXIF says, in no other colours, as the service reads it. */
async function decoded(file: Blob): Promise<{ raster: Raster; bitmap: ImageBitmap }> {
  const bitmap = await createImageBitmap(file, { imageOrientation: "none", colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS) throw new Error(`It has more than ${MOST_PIXELS.toLocaleString("en")} pixels. Scale it down.`);
  const context = new OffscreenCanvas(width, height).getContext("2d", { alpha: true, willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const rgb = new Uint8Array(width * height * 3);
  for (let i = 0, j = 0; i < data.length; i += 4) {
    rgb[j++] = data[i]!;
    rgb[j++] = data[i + 1]!;
    rgb[j++] = data[i + 2]!;
  }
  return { raster: { width, height, channels: 3, data: rgb }, bitmap };
}

function row(each: Score, said: boolean): HTMLElement {
  const line = document.createElement("tr");
  line.className = said ? "said" : "";
  line.dataset.index = String(each.index);
  line.dataset.score = String(each.score);
  const [name, bar, share] = [document.createElement("th"), document.createElement("td"), document.createElement("td")];
  name.scope = "row";
  name.textContent = each.label;
  const meter = document.createElement("meter");
  meter.value = each.score;
  meter.setAttribute("aria-label", each.label);
  bar.append(meter);
  share.textContent = `${(100 * each.score).toFixed(1)} %`;
  line.append(name, bar, share);
  return line;
}

function table(heading: string, scores: Score[], said: (each: Score) => boolean): void {
  element("heading").textContent = heading;
  element("scores").replaceChildren(...scores.map((each) => row(each, said(each))));
}

const colourOf = (told: Described, index: number): string => (told.palette[index] ? `rgb(${told.palette[index].join(" ")})` : COLOURS[index % COLOURS.length]!);

function drawBoxes(told: Described, canvas: CanvasRenderingContext2D, boxes: Found[]): void {
  const unit = Math.max(canvas.canvas.width, canvas.canvas.height) / 400;
  canvas.lineWidth = 2 * unit;
  canvas.font = `${12 * unit}px system-ui, sans-serif`;
  for (const { corners: [x1, y1, x2, y2], label, score, index } of boxes) {
    const words = `${label} ${(100 * score).toFixed(0)} %`;
    canvas.strokeStyle = canvas.fillStyle = colourOf(told, index);
    canvas.strokeRect(x1, y1, x2 - x1, y2 - y1);
    const top = Math.max(0, y1 - 15 * unit);
    canvas.fillRect(x1, top, canvas.measureText(words).width + 6 * unit, 15 * unit);
    canvas.fillStyle = "#000";
    canvas.fillText(words, x1 + 3 * unit, top + 11.5 * unit);
  }
}

function drawMask(told: Described, canvas: CanvasRenderingContext2D, mask: Uint16Array): void {
  const { width, height } = canvas.canvas;
  const colours = new Uint8ClampedArray(mask.length * 4);
  mask.forEach((index, i) => colours.set([...(told.palette[index] ?? [0, 0, 0]), 150], 4 * i));
  const over = new OffscreenCanvas(width, height);
  over.getContext("2d")!.putImageData(new ImageData(colours, width, height), 0, 0);
  canvas.drawImage(over, 0, 0);
}

/** Say and draw what the output means; the class of each pixel lies in the page for whoever reads it by a program. */
function show(told: Described, output: Output, bitmap: ImageBitmap): void {
  const picture = element<HTMLCanvasElement>("picture");
  picture.hidden = false;
  [picture.width, picture.height] = [bitmap.width, bitmap.height];
  const canvas = picture.getContext("2d")!;
  canvas.drawImage(bitmap, 0, 0);
  if (told.kind === "class") return table("Most probable classes", classesOf(output, told).slice(0, SHOWN), (each) => each.score === Math.max(...classesOf(output, told).map(({ score }) => score)));
  if (told.kind === "labels") return table(`Labels from ${100 * told.threshold} % on, and the next`, shownLabels(labelsOf(output, told), told), ({ score }) => score >= told.threshold);
  if (told.kind === "mask") {
    const mask = maskOf(output, picture);
    drawMask(told, canvas, mask);
    window.mask = mask;
    return table("Share of the pixels", sharesOf(mask, told.classes), () => true);
  }
  const boxes = boxesOf(output, told, picture);
  const sure = boxes.filter(({ score }) => score >= told.threshold);
  drawBoxes(told, canvas, sure);
  window.boxes = boxes;
  return table(sure.length ? `Boxes of a score from ${told.threshold} on` : `No box has a score from ${told.threshold} on`, sure, () => true);
}

const shownLabels = (scores: Score[], { threshold }: Described) => scores.filter(({ score }, i) => i < SHOWN || score >= threshold);

declare global {
  interface Window {
    mask?: Uint16Array;
    boxes?: Found[];
  }
}

function say(words: string, state: "working" | "ready" | "answered" | "failed"): void {
  element("state").textContent = words;
  document.body.dataset.state = state;
}

async function answer(told: Described, session: ort.InferenceSession, file: Blob): Promise<void> {
  say("Looking ...", "working");
  try {
    const { raster, bitmap } = await decoded(file);
    const greyFile = isGrey(new Uint8Array(await file.arrayBuffer()));
    const began = performance.now();
    const { input } = told;
    const given = tensor(seen(raster, told, greyFile), told);
    const fed = new ort.Tensor(input.dtype, given as Float32Array & Uint8Array, [1, input.channels, input.height, input.width]);
    const output = (await session.run({ [input.name]: fed }))[told.output]!;
    const milliseconds = performance.now() - began;
    show(told, { data: output.data as Float32Array, dims: output.dims }, bitmap);
    element("answer").hidden = false;
    say(`${milliseconds.toFixed(0)} ms in this browser, ${bitmap.width} × ${bitmap.height} pixels`, "answered");
  } catch (error) {
    element("answer").hidden = true;
    const why = error instanceof DOMException ? "This browser cannot read it as a picture. Choose a PNG, JPEG or WebP file." : String(error instanceof Error ? error.message : error);
    say(`No answer: ${why}`, "failed");
  }
}

async function start(): Promise<void> {
  const told = JSON.parse(text("described")) as Described;
  document.title = element("title").textContent = told.title;
  element("about").textContent = `${told.file}, ${told.classes.length} classes, run by onnxruntime-web in this page.`;
  say("Loading the student ...", "working");
  let session: ort.InferenceSession;
  try {
    session = await open();
  } catch (error) {
    return say(`The student cannot run in this browser: ${String(error)}. A newer browser with WebAssembly SIMD can.`, "failed");
  }
  const [choose, zone] = [element<HTMLInputElement>("choose"), element("zone")];
  const take = (files: FileList | null | undefined) => {
    const file = files?.[0];
    if (file) void answer(told, session, file);
  };
  choose.disabled = false;
  choose.addEventListener("change", () => take(choose.files));
  for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());
  zone.addEventListener("dragover", () => zone.classList.add("over"));
  for (const kind of ["dragleave", "drop"]) zone.addEventListener(kind, () => zone.classList.remove("over"));
  document.addEventListener("drop", (event) => take(event.dataTransfer?.files));
  document.addEventListener("paste", (event) => take(event.clipboardData?.files));
  say("Ready: choose, drop or paste a picture.", "ready");
}

void start();

/** What the service answers, computed in the browser: for the page without a service. */
import * as ort from "./ort.wasm.bundle.min.mjs";

// As in fsr_fer/predict: faces.py, mtcnn.py, detector.py.
const FACE = 100; // side of the face that a network takes
const LARGEST_CROP = 200;
const LARGE_PICTURE = 2_000_000;
const [CELL, STRIDE, SHRINK, TILE, BATCH] = [12, 2, 0.709, 256, 8];
const SCORE = Math.log(0.7 / 0.3);
const FACE_SCALE = 1.1;
const BUSY = 50; // milliseconds, after which the page gets its turn

ort.env.wasm.numThreads = 1; // more need headers that few servers send
const sessions = new Map();

let rested = performance.now();

/** Let the page react, if it could not for a while. */
async function rest() {
  if (performance.now() < rested + BUSY) return;
  await new Promise((resolve) => { setTimeout(resolve); });
  rested = performance.now();
}

/** A network's outputs by name. */
async function run(name, inputs) {
  if (!sessions.has(name)) {
    sessions.set(name, ort.InferenceSession.create(`${name}.onnx`));
    sessions.get(name).catch(() => sessions.delete(name)); // the next question asks for it again
  }
  return (await sessions.get(name)).run(inputs);
}

let last = Promise.resolve();

/**
 * The rows of `POST /predict` for one picture; a network answers one question at a time.
 *
 * A search ends with an error once `unwanted()`.
 */
export function predict(about, blob, pixels, boxes, unwanted) {
  last = last.catch(() => {}).then(() => answer(about, blob, pixels, boxes, unwanted));
  return last;
}

async function answer(about, blob, pixels, boxes, unwanted) {
  const picture = await decode(blob).catch(() => null);
  const row = { status: "ok", box: null, message: "" };
  if (!picture) return [{ ...row, status: "unreadable", message: "cannot be read by this browser" }];
  const most = about.limits.pixels;
  if (picture.width * picture.height > most) {
    const size = `${picture.width} x ${picture.height} pixels`;
    throw new Error(`The picture is too large: ${size}, of at most ${most / 1e6} million.`);
  }
  let found = boxes?.map(([x, y, width, height]) => ({ x, y, width, height })) ?? [null];
  const isCrop = Math.max(picture.width, picture.height) <= LARGEST_CROP;
  if (!boxes && !isCrop) found = await detect(picture, unwanted);
  if (!found.length) return [{ ...row, status: "no_face", message: "no face was found" }];
  const rows = [];
  for (const box of found) {
    const square = cutSquare(picture, box);
    const side = square.width;
    if (side < about.smallest_pixels) {
      const message = `${side} pixels; the model reads faces from ${about.smallest_pixels}`;
      rows.push({ ...row, box, pixels: side, status: "too_small", message });
      continue;
    }
    const own = await readFace(about, square);
    const small = side > pixels ? resized(square, pixels, pixels) : square;
    const read = small === square ? own : await readFace(about, small);
    const plain = about.plain && await label(about, "plain", small);
    rows.push({ ...row, box, ...own, downsampled: { ...read, plain, face: addressOf(small) } });
  }
  return rows;
}

/** What a row says of a square face. */
async function readFace(about, square) {
  const read = await label(about, "model", square);
  const measured = about.expected_accuracy; // page.js has accuracyAt
  const expected_accuracy = measured.pixels.length ? accuracyAt(measured, square.width) : null;
  const uncertain = read.probability < about.uncertain_below;
  return { pixels: square.width, expected_accuracy, uncertain, ...read };
}

async function label(about, network, square) {
  const { pixels } = resized(square, FACE, FACE);
  const { probabilities } = await run(network, {
    faces: new ort.Tensor("uint8", pixels, [1, FACE, FACE, 3]),
    pixels: new ort.Tensor("float32", [square.width], [1]),
  });
  const shares = [...probabilities.data];
  const probability = Math.max(...shares);
  const named = Object.fromEntries(about.class_names.map((name, at) => [name, shares[at]]));
  return { label: about.class_names[shares.indexOf(probability)], probability, probabilities: named };
}

// ---- Pictures: { pixels, width, height }, RGB row by row --------------------------------------

async function decode(blob) {
  const image = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  const { width, height } = image;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.fillStyle = "#fff"; // on which the service puts what is transparent
  context.fillRect(0, 0, width, height);
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, width, height); // red, green, blue and 255
  const pixels = new Uint8Array(width * height * 3);
  for (let at = 0; at < pixels.length; at += 1) pixels[at] = data[at + Math.floor(at / 3)];
  return { pixels, width, height };
}

/** A picture as a PNG in an address. */
function addressOf({ pixels, width, height }) {
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let at = 0; at < pixels.length; at += 1) data[at + Math.floor(at / 3)] = pixels[at];
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  canvas.getContext("2d").putImageData(new ImageData(data, width, height), 0, 0);
  return canvas.toDataURL("image/png");
}

/** A rectangle of a picture; outside it is black, or repeats the edge. */
function cut(picture, left, top, width, height, black = false) {
  const pixels = new Uint8Array(width * height * 3);
  const inside = (value, size) => Math.min(Math.max(value, 0), size - 1);
  for (let y = 0; y < height; y += 1) {
    const row = inside(top + y, picture.height);
    for (let x = 0; x < width; x += 1) {
      const column = inside(left + x, picture.width);
      if (black && (row !== top + y || column !== left + x)) continue;
      const from = 3 * (row * picture.width + column);
      pixels.set(picture.pixels.subarray(from, from + 3), 3 * (y * width + x));
    }
  }
  return { pixels, width, height };
}

/** The square of a face: round its box's middle and as large; without a box the central one. */
function cutSquare(picture, box) {
  const shorter = Math.min(picture.width, picture.height);
  if (!box) {
    const [left, top] = [picture.width, picture.height].map((size) => Math.floor((size - shorter) / 2));
    return cut(picture, left, top, shorter, shorter);
  }
  const side = Math.max(1, Math.round(Math.sqrt(box.width * box.height)));
  const left = Math.round(box.x + box.width / 2 - side / 2);
  return cut(picture, left, Math.round(box.y + box.height / 2 - side / 2), side, side);
}

/** The kernel of imresize, and how far it reaches. */
function cubic(distance) {
  const x = Math.abs(distance);
  if (x <= 1) return 1.5 * x ** 3 - 2.5 * x ** 2 + 1;
  return x < 2 ? -0.5 * x ** 3 + 2.5 * x ** 2 - 4 * x + 2 : 0;
}
cubic.reach = 2;

/** That of Pillow's bilinear resize. */
function linear(distance) {
  return Math.max(0, 1 - Math.abs(distance));
}
linear.reach = 1;

/**
 * A picture, or its part from `left`, `top` as large as `wide` x `high`, in another size.
 *
 * Antialiased, and rounded after each pass: with the cubic kernel and a square what imresize gives.
 */
function resized(picture, width, height, kernel = cubic, part = {}) {
  const { left = 0, top = 0, wide = picture.width, high = picture.height } = part;
  const down = taps(picture.height, top, high, height, kernel);
  const rows = pass(picture.pixels, picture.height, picture.width * 3, 1, down);
  const pixels = pass(rows, picture.width, 3, height, taps(picture.width, left, wide, width, kernel));
  return { pixels, width, height };
}

/** For each of `count` places the pixels among `size` (mirrored outside) that it is made of. */
function taps(size, start, length, count, kernel) {
  const scale = count / length;
  const stretch = Math.min(1, scale);
  return Array.from({ length: count }, (_, at) => {
    // Counted from 1, and in MATLAB's order: what lies at a half rounds as there.
    const centre = start + (at + 1) / scale + 0.5 * (1 - 1 / scale);
    const places = [];
    const weights = [];
    const end = centre + kernel.reach / stretch;
    for (let place = Math.ceil(centre - kernel.reach / stretch); place <= end; place += 1) {
      const beyond = (((place - 1) % (2 * size)) + 2 * size) % (2 * size);
      places.push(beyond < size ? beyond : 2 * size - 1 - beyond);
      weights.push(stretch * kernel(stretch * (centre - place)));
    }
    const sum = weights.reduce((one, other) => one + other, 0);
    return { places, weights: weights.map((weight) => weight / sum) };
  });
}

/** Resize the middle axis of [outer, size, inner]. */
function pass(values, size, inner, outer, taken) {
  const made = new Uint8ClampedArray(outer * taken.length * inner);
  let at = 0;
  for (let block = 0; block < outer; block += 1) {
    for (const { places, weights } of taken) {
      for (let offset = block * size * inner; offset < (block * size + 1) * inner; offset += 1) {
        let sum = 0;
        for (let tap = 0; tap < places.length; tap += 1) {
          sum += weights[tap] * values[offset + places[tap] * inner];
        }
        made[at] = Math.floor(sum + 0.5);
        at += 1;
      }
    }
  }
  return new Uint8Array(made.buffer);
}

// ---- The detector, as fsr_fer/predict/mtcnn.py explains it; boxes: [left, top, right, bottom] --

async function detect(picture, unwanted) {
  const check = async () => {
    await rest();
    if (unwanted?.()) throw new Error("another picture came");
  };
  const least = picture.width * picture.height <= LARGE_PICTURE ? 10 : 20;
  let found = [];
  const shorter = Math.min(picture.width, picture.height);
  for (let scale = CELL / least; shorter * scale >= CELL; scale *= SHRINK) {
    found.push(...await proposals(picture, scale, check));
  }
  found = suppressed(await judged("mtcnn_r", 24, picture, found.map(square), check), false);
  found = await judged("mtcnn_o", 48, picture, found.map(moved).map(square), check);
  found = found.map((one) => ({ ...one, box: moved(one) }));
  return suppressed(found.filter(({ box }) => usable(picture, box)), true).map(({ box, score }) => {
    const [left, top, right, bottom] = box;
    const [width, height] = [(right - left) * FACE_SCALE, (bottom - top) * FACE_SCALE];
    return { x: (left + right - width) / 2, y: (top + bottom - height) / 2, width, height };
  });
}

/** P-net's boxes in the picture at a scale. */
async function proposals(picture, scale, check) {
  const [width, height] = [picture.width, picture.height].map((side) => 2 * Math.ceil((side * scale) / 2));
  const part = resized(picture, width, height, linear);
  const boxes = [];
  const overlap = CELL - STRIDE;
  for (let top = 0; top < height - overlap; top += TILE) {
    for (let left = 0; left < width - overlap; left += TILE) {
      const [wide, high] = [Math.min(TILE + overlap, width - left), Math.min(TILE + overlap, height - top)];
      await check();
      const { pixels } = cut(part, left, top, wide, high);
      const inputs = { pixels: new ort.Tensor("uint8", pixels, [1, high, wide, 3]) };
      const [right, down] = [picture.width / width, picture.height / height];
      for (const box of cells(Object.values(await run("mtcnn_p", inputs))[0])) {
        boxes.push(box.map((edge, at) => at % 2 ? (edge + top) * down : (edge + left) * right));
      }
    }
  }
  return boxes;
}

/** The boxes in P-net's map [1, 5, rows, columns]: likely, and no less than their neighbours. */
function cells({ data, dims: [, , rows, columns] }) {
  const boxes = [];
  for (let at = 0; at < rows * columns; at += 1) {
    if (data[at] < SCORE) continue;
    const [row, column] = [Math.floor(at / columns), at % columns];
    const highest = [-1, 0, 1].every((down) => [-1, 0, 1].every((right) => {
      const [r, c] = [row + down, column + right];
      return r < 0 || c < 0 || r >= rows || c >= columns || data[r * columns + c] <= data[at];
    }));
    if (!highest) continue;
    const [left, top] = [column * STRIDE, row * STRIDE];
    const offsets = [1, 2, 3, 4].map((channel) => data[channel * rows * columns + at]);
    boxes.push(moved({ box: [left, top, left + CELL, top + CELL], offsets }));
  }
  return boxes;
}

/** The squares that a network takes for faces: { box, score, offsets }. */
async function judged(network, side, picture, boxes, check) {
  const wanted = boxes.filter((box) => usable(picture, box));
  const found = [];
  for (let start = 0; start < wanted.length; start += BATCH) {
    await check();
    const batch = wanted.slice(start, start + BATCH);
    const pixels = new Uint8Array(batch.length * side * side * 3);
    for (const [at, box] of batch.entries()) {
      const [left, top] = [Math.floor(box[0]), Math.floor(box[1])];
      const around = cut(picture, left, top, Math.ceil(box[2]) - left, Math.ceil(box[3]) - top, true);
      const part = { left: box[0] - left, top: box[1] - top, wide: box[2] - box[0], high: box[3] - box[1] };
      pixels.set(resized(around, side, side, linear, part).pixels, at * side * side * 3);
    }
    const inputs = { pixels: new ort.Tensor("uint8", pixels, [batch.length, side, side, 3]) };
    const { data } = Object.values(await run(network, inputs))[0];
    batch.forEach((box, at) => {
      const [score, ...offsets] = data.slice(5 * at, 5 * at + 5);
      if (score >= SCORE) found.push({ box, score, offsets });
    });
  }
  return found;
}

function moved({ box, offsets }) {
  const sides = [box[2] - box[0], box[3] - box[1]];
  return box.map((edge, at) => edge + offsets[at] * sides[at % 2]);
}

function square([left, top, right, bottom]) {
  const half = Math.max(right - left, bottom - top) / 2;
  const [x, y] = [(left + right) / 2, (top + bottom) / 2];
  return [x - half, y - half, x + half, y + half];
}

function usable(picture, [left, top, right, bottom]) {
  const [x, y] = [(left + right) / 2, (top + bottom) / 2];
  const inside = x >= 0 && y >= 0 && x < picture.width && y < picture.height;
  return inside && right - left >= 1 && bottom - top >= 1;
}

/** The boxes that stay, best first: none overlaps a better one by more than 0.7. */
function suppressed(found, ofSmaller) {
  const area = ([left, top, right, bottom]) => (right - left) * (bottom - top);
  const kept = [];
  for (const one of [...found].sort((a, b) => b.score - a.score)) {
    const overlaps = kept.some(({ box }) => {
      const width = Math.min(box[2], one.box[2]) - Math.max(box[0], one.box[0]);
      const height = Math.min(box[3], one.box[3]) - Math.max(box[1], one.box[1]);
      const both = Math.max(0, width) * Math.max(0, height);
      const [first, second] = [area(box), area(one.box)];
      return both > 0.7 * (ofSmaller ? Math.min(first, second) : first + second - both);
    });
    if (!overlaps) kept.push(one);
  }
  return kept;
}

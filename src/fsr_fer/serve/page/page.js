"use strict";

const $ = (id) => document.getElementById(id);
const ANOTHER = "Drop another picture here, or paste one.";
const percent = (share) => `${Math.round(100 * share)} %`;

let about; // what GET /model says
let sizes; // sides of a face in pixels, one for each position of the slider, ascending
let picture; // { blob, name, image, width, height }; image is null where the browser cannot show it
let rows = []; // the faces of the picture
let chosen = 0; // which of them is made smaller
let boxes = null; // squares that are read, [x, y, width, height]; null: the service looks for faces
let guessed = false; // whether the square is the webcam's middle, since no face was found there yet
let stream = null; // the webcam, while it is on
let starting = false; // whether the browser asks for leave to use it
let shows = 0; // what was to be shown: the last one counts, whichever is decoded or answered first
let failure = null; // why the service gave no answer

// ---- The service ---------------------------------------------------------------------------

async function ask(blob, name, pixels, given, unwanted) {
  if (about.local) return (await import("./local.js")).predict(about, blob, pixels, given, unwanted);
  const form = new FormData();
  form.append("pictures", blob, name);
  form.append("pixels", pixels);
  if (given) form.append("boxes", JSON.stringify(given));
  const response = await request("predict", { method: "POST", body: form });
  return (await response.json()).predictions;
}

/** What the service answers; an error that says why if it refuses, or nobody answers. */
async function request(address, words) {
  const response = await fetch(address, words).catch(() => null);
  if (response?.ok) return response;
  // A proxy before the service has pages of its own.
  const said = await response?.json().catch(() => null);
  const why = response ? `: ${response.status} ${response.statusText}` : "; is it running?";
  throw new Error(said?.error ?? `The service does not answer${why}`);
}

/** A function that does the work, once more if it was called meanwhile: the last call counts. */
function latest(work) {
  let running = null;
  let wanted = false;
  const run = async () => {
    while (wanted) {
      wanted = false;
      await work().catch((error) => {
        if (wanted) return; // it is of what nobody looks at any more
        showReading(null);
        failure = error.message;
        say(failure, true);
      });
    }
    running = null;
  };
  return () => {
    wanted = true;
    running ??= run();
    return running;
  };
}

/** Find and read the faces of the picture; the chosen one comes back at 100 pixels or fewer. */
const readPicture = latest(async () => {
  const now = picture;
  const number = shows;
  const unwanted = () => now !== picture;
  const drawn = () => boxes && !guessed;
  let found = await ask(now.blob, now.name, sizes.at(-1), drawn() ? boxes : null, unwanted);
  if (now !== picture) return; // another one came
  let note = stream ? "Hold your face inside the square, or drag it over your face." : "";
  if (!drawn() && now.image && found.every((row) => row.status === "no_face")) {
    [boxes, guessed] = [[middleSquare(now)], stream !== null];
    found = await ask(now.blob, now.name, sizes.at(-1), boxes, unwanted);
    note ||= "No face was found. Drag a square over one, or tap it.";
  } else if (!drawn()) {
    boxes = null;
    note = stream ? "" : ANOTHER;
    if (!now.image) note = `The browser cannot show this picture. ${note}`;
  }
  if (now !== picture) return; // another one came
  rows = found;
  chosen = Math.min(chosen, rows.length - 1);
  if (rows[chosen].status !== "ok") chosen = Math.max(0, rows.findIndex((row) => row.status === "ok"));
  const only = rows.length === 1 && rows[0].status !== "ok";
  const subject = rows[0].status === "unreadable" ? "The picture " : "";
  if (number === shows) say(only ? subject + rows[0].message : note, only);
  $("square").hidden = !boxes;
  draw(now);
  listFaces();
  await readSmall();
});

/** Predict the chosen face at the slider's size. */
const readSmall = latest(async () => {
  const face = rows[chosen]?.downsampled?.face;
  if (!face) {
    showReading(null);
    return;
  }
  const small = await ask(bytesOf(face), "face.png", sizes[$("size").value]);
  if (face !== rows[chosen]?.downsampled?.face) return;
  showReading(small[0].downsampled);
  if ($("note").textContent === failure) say(ANOTHER);
});

/** The file in a data: address. */
function bytesOf(address) {
  const text = atob(address.slice(address.indexOf(",") + 1));
  return new Blob([Uint8Array.from(text, (letter) => letter.charCodeAt(0))], { type: "image/png" });
}

// ---- Showing -------------------------------------------------------------------------------

function say(text, bad = false) {
  $("note").textContent = text;
  $("note").classList.toggle("bad", bad);
}

function showReading(read) {
  const none = !read || read.label === null;
  $("label").textContent = none ? "no result" : read.label;
  $("probability").textContent = none ? "" : `${percent(read.probability)} probable`;
  $("doubt").hidden = none || !read.uncertain;
  $("expected").textContent = none || read.expected_accuracy === null
    ? ""
    : `It predicts ${Math.round(100 * read.expected_accuracy)} of 100 test faces of this size correctly.`;
  $("comparison").textContent = none || !read.plain
    ? ""
    : `Trained on full-size faces alone: ${read.plain.label}, ` +
      `${percent(read.plain.probability)} probable; ` +
      `${Math.round(100 * accuracyAt(about.plain, read.pixels))} of 100 correct.`;
  $("own").textContent =
    none || rows[chosen].pixels <= sizes.at(-1)
      ? ""
      : `At its own ${rows[chosen].pixels} pixels: ${rows[chosen].label}, ${percent(rows[chosen].probability)}.`;
  if (read) $("face").src = read.face;
  else $("face").removeAttribute("src");
  showSize();
  about.class_names.forEach((name, number) => {
    const share = none ? 0 : read.probabilities[name];
    const item = $("bars").children[number];
    item.classList.toggle("first", !none && name === read.label);
    item.querySelector("i").style.width = `${100 * share}%`;
    item.lastChild.textContent = percent(share);
  });
}

/** The slider's size, or the face's own; an answer that came late is of another one. */
function showSize() {
  const wanted = sizes[$("size").value];
  const pixels = Math.min(wanted, rows[chosen]?.downsampled?.pixels ?? wanted);
  $("pixels").textContent =
    pixels < wanted ? `${pixels} pixels, it has no more` : `${pixels} pixels`;
  $("size").setAttribute("aria-valuetext", $("pixels").textContent);
  drawCurve(pixels);
}

/** The value at a size: straight lines between the ascending sides at which there is one. */
function between(sides, values, pixels) {
  const after = sides.findIndex((side) => side >= pixels);
  if (after === -1) return values.at(-1);
  if (after === 0) return values[0];
  const share = (pixels - sides[after - 1]) / (sides[after] - sides[after - 1]);
  return values[after - 1] + share * (values[after] - values[after - 1]);
}

/** What a model has measured, as GET /model says, at a size. */
function accuracyAt(measured, pixels) {
  return between(measured.pixels, measured.accuracy, pixels);
}

function drawCurve(pixels) {
  if ($("measured").hidden) return;
  const width = $("curve").clientWidth;
  const height = $("curve").clientHeight;
  const [least, most] = [sizes[0], sizes.at(-1)];
  const places = sizes.map((_, place) => place / (sizes.length - 1));
  // The slider's knob is 16 wide: the point stands right below its middle.
  const x = (size) => 8 + (width - 16) * between(sizes, places, size);
  const y = (share) => 16 + (height - 36) * (1 - share);
  const nodes = [];
  const add = (kind, attributes, text = "") => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", kind);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.textContent = text;
    nodes.push(node);
  };
  const level = (share, kind) =>
    add("line", { class: kind, x1: x(least), x2: x(most), y1: y(share), y2: y(share) });
  for (const share of [0, 0.5, 1]) level(share, "grid");
  level(1 / about.class_names.length, "chance");
  const curve = (measured, kind) => {
    const points = sizes.map((size) => `${x(size)},${y(accuracyAt(measured, size))}`);
    add("polyline", { class: kind, points: points.join(" ") });
  };
  if (about.plain) curve(about.plain, "plain");
  curve(about.expected_accuracy, "model");
  add("text", { x: x(most), y: y(1) - 4, "text-anchor": "end" }, "100 % correct");
  add("text", { x: x(most), y: y(0.5) - 4, "text-anchor": "end" }, "50 %");
  const marks = [13, 20, 34, 50, 70].filter((size) => x(size) > x(least) + 56); // beside its text
  for (const size of [least, ...marks, most]) {
    const anchor = size === least ? "start" : size === most ? "end" : "middle";
    const left = size === least ? 0 : size === most ? width : x(size);
    add("text", { x: left, y: height - 3, "text-anchor": anchor }, size === least ? `${size} pixels` : size);
  }
  const expected = accuracyAt(about.expected_accuracy, pixels);
  add("circle", { cx: x(pixels), cy: y(expected), r: 6 });
  $("curve").replaceChildren(...nodes);
  $("curve").setAttribute(
    "aria-label",
    `Accuracy expected at each size; at ${pixels} pixels ${percent(expected)}`,
  );
}

function listFaces() {
  const items = rows.map((row, number) => {
    const item = document.createElement("li");
    const label = document.createElement("label");
    const radio = document.createElement("input");
    Object.assign(radio, { type: "radio", name: "face", checked: number === chosen });
    radio.disabled = row.status !== "ok";
    radio.addEventListener("change", () => choose(number));
    const doubt = row.uncertain ? ", uncertain" : "";
    const text = row.status === "ok"
      ? `${row.label} ${percent(row.probability)}${doubt}; ${row.pixels} pixels`
      : `${row.status}: ${row.message}`;
    item.classList.toggle("bad", row.status !== "ok");
    label.append(radio, ` ${number + 1}: ${text}`);
    item.append(label);
    return item;
  });
  const focused = $("faces").contains(document.activeElement);
  $("faces").replaceChildren(...items);
  if (focused) items[chosen]?.querySelector("input").focus();
}

function choose(number) {
  chosen = number;
  draw(picture);
  listFaces();
  readSmall();
}

function draw(shown) {
  const canvas = $("picture");
  const room = Math.min(canvas.parentElement.clientWidth - 4, 640);
  const factor = Math.min(room / shown.width, 480 / shown.height);
  canvas.width = Math.round(shown.width * factor);
  canvas.height = Math.round(shown.height * factor);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = factor < 1;
  context.fillStyle = "#fff"; // on which the service puts what is transparent
  if (shown.image) context.fillRect(0, 0, canvas.width, canvas.height);
  if (shown.image) context.drawImage(shown.image, 0, 0, canvas.width, canvas.height);
  context.font = "600 15px system-ui, sans-serif";
  const drawn = !shown.image ? [] : rows.map((row, number) => ({ row, number })).filter(({ row }) => row.status === "ok" && row.box);
  // The chosen one last, so that it lies on top.
  drawn.sort((one, other) => (one.number === chosen) - (other.number === chosen));
  for (const { row, number } of drawn) {
    const { x, y, width, height } = row.box;
    const colour = row.uncertain ? "#f0a020" : "#3ddc84";
    for (const [style, line] of [["#000a", 5], [colour, number === chosen ? 3 : 1.5]]) {
      context.strokeStyle = style;
      context.lineWidth = line;
      context.strokeRect(x * factor, y * factor, width * factor, height * factor);
    }
    const whole = number === chosen ? `: ${row.label} ${percent(row.probability)}, ${row.pixels} px` : "";
    const text = `${number + 1}${whole}`; // of several the others' would hide each other
    const left = Math.max(2, Math.min(x * factor, canvas.width - context.measureText(text).width - 6));
    const base = Math.max(17, y * factor - 6);
    context.lineWidth = 4;
    context.strokeStyle = "#000c";
    context.strokeText(text, left, base);
    context.fillStyle = colour;
    context.fillText(text, left, base);
  }
}

// ---- Pictures: files, what is dropped or pasted, the webcam ---------------------------------

async function show(file, name) {
  stopWebcam();
  const number = ++shows;
  if (file.size > about.limits.bytes * 0.99) {
    say(`The picture has more than ${Math.floor(about.limits.bytes / 2 ** 20)} MB.`, true);
    return;
  }
  say("Reading the picture…");
  // A file that is changed on the disk could not be sent again with another square.
  const bytes = await file.arrayBuffer().catch(() => null);
  const blob = bytes && new Blob([bytes], { type: file.type });
  const image = blob && (await createImageBitmap(blob).catch(() => null));
  if (number !== shows) return;
  if (!blob) {
    say("The picture cannot be read: it is gone, or it is a folder.", true);
    return;
  }
  const { width, height } = image ?? { width: 320, height: 240 };
  picture = { blob, name, image, width, height };
  [rows, chosen, boxes] = [[], 0, null];
  draw(picture);
  listFaces();
  showReading(null);
  $("label").textContent = "…";
  say("Looking for faces…");
  await readPicture();
}

async function showExample(address) {
  const number = ++shows;
  const blob = await (await request(address)).blob();
  if (number === shows) await show(blob, "example");
}

function middleSquare({ width, height }) {
  const share = Math.round(Math.min(width, height) * (stream ? 0.6 : 1));
  const side = Math.min(share, largestSide({ width, height }));
  return [Math.round((width - side) / 2), Math.round((height - side) / 2), side, side];
}

async function startWebcam() {
  if (starting) return;
  starting = true;
  const number = shows;
  let ours; // the next click may open another
  try {
    ours = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
  } catch (error) {
    say(`The webcam cannot be used: ${error.message}`, true);
    return;
  } finally {
    starting = false;
  }
  stream = ours;
  if (number !== shows) { // a picture came while the browser asked
    stopWebcam();
    return;
  }
  shows += 1;
  picture = { ...picture }; // what is still being read of the last one is not shown
  [rows, chosen, boxes] = [[], 0, null];
  $("webcam").textContent = "Turn the webcam off";
  $("webcam").setAttribute("aria-pressed", "true");
  const video = $("video");
  video.srcObject = stream;
  await video.play().catch(() => {}); // it may be turned off before it plays
  const frame = document.createElement("canvas");
  while (stream === ours && ours.active) {
    [frame.width, frame.height] = [video.videoWidth, video.videoHeight];
    frame.getContext("2d").drawImage(video, 0, 0);
    const blob = await new Promise((done) => frame.toBlob(done, "image/png"));
    if (stream !== ours) break;
    const { width, height } = frame;
    picture = { blob, name: "webcam", image: frame, width, height };
    await readPicture();
    await new Promise((done) => setTimeout(done, 100));
  }
  if (stream === ours) stopWebcam(); // it was unplugged
}

function stopWebcam() {
  if (!stream) return;
  for (const track of stream.getTracks()) track.stop();
  stream = null;
  $("video").srcObject = null;
  picture = { ...picture }; // what is still being read of the last frame is not shown
  $("webcam").textContent = "Use the webcam";
  $("webcam").setAttribute("aria-pressed", "false");
  say("The webcam is off.");
}

// ---- The square over a face, by pointer and by keys -----------------------------------------

/** The largest square that the service reads beside a picture, which counts as well. */
function largestSide({ width, height }) {
  const left = about.limits.pixels - width * height;
  return Math.min(Math.max(width, height), Math.floor(Math.sqrt(left)));
}

function setSquare(x, y, side) {
  const whole = Math.round(side);
  [boxes, guessed] = [[[Math.round(x), Math.round(y), whole, whole]], false];
  chosen = 0;
  readPicture();
}

function grow(factor) {
  if (!boxes || !picture.image) return;
  const [x, y, side] = boxes[0];
  const wanted = Math.min(Math.max(about.smallest_pixels, side * factor), largestSide(picture));
  setSquare(x + (side - wanted) / 2, y + (side - wanted) / 2, wanted);
}

/** The square that is read of a face: it has the area and the middle of its box. */
function squareOf({ x, y, width, height }) {
  const side = Math.sqrt(width * height);
  return [x + (width - side) / 2, y + (height - side) / 2, side, side];
}

function pointAt(event) {
  const room = $("picture").getBoundingClientRect();
  const border = 2;
  const x = (event.clientX - room.left - border) / (room.width - 2 * border);
  const y = (event.clientY - room.top - border) / (room.height - 2 * border);
  return [x * picture.width, y * picture.height];
}

function squareKeys(event) {
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const factors = { "+": 1.1, "=": 1.1, "-": 1 / 1.1 };
  if (event.ctrlKey || event.metaKey || event.altKey) return; // the browser's own
  if (event.key === "Escape" && boxes) { // without the square all faces are looked for again
    boxes = null;
    readPicture();
  }
  if (!(event.key in steps || event.key in factors) || !picture?.image) return;
  event.preventDefault();
  const own = rows[chosen]?.box;
  boxes ??= [own ? squareOf(own) : middleSquare(picture)];
  if (event.key in factors) {
    grow(factors[event.key]);
    return;
  }
  const [x, y, side] = boxes[0];
  const [right, down] = steps[event.key];
  const inside = (value, most) => Math.min(Math.max(value, -side / 2), most - side / 2);
  const far = side / 12;
  setSquare(inside(x + right * far, picture.width), inside(y + down * far, picture.height), side);
}

const take = ([file]) => { if (file) show(file, file.name); };

function listenToPointer() {
  let start = null;
  $("picture").addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !picture?.image) return;
    start = pointAt(event);
    $("picture").setPointerCapture(event.pointerId); // a drag may end outside
  });
  $("picture").addEventListener("pointercancel", () => { start = null; });
  $("picture").addEventListener("pointerup", (event) => {
    if (!start) return;
    const [[x, y], [endX, endY]] = [start, pointAt(event)];
    start = null;
    const drawn = Math.max(Math.abs(endX - x), Math.abs(endY - y));
    const side = Math.min(drawn, largestSide(picture));
    if (side >= about.smallest_pixels && side > picture.width / 50) {
      setSquare(endX < x ? x - side : x, endY < y ? y - side : y, side);
      return;
    }
    const hit = rows.findIndex(({ status, box }) => status === "ok" && box
      && x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height);
    const third = Math.min(picture.width, picture.height) / 3;
    const usual = boxes ? boxes[0][2] : Math.min(third, largestSide(picture));
    if (hit >= 0 && !boxes) choose(hit);
    else setSquare(x - usual / 2, y - usual / 2, usual);
  });
}

// ---- Start ---------------------------------------------------------------------------------

function listen() {
  $("size").addEventListener("input", () => {
    showSize();
    readSmall();
  });
  $("file").addEventListener("change", () => {
    const files = [...$("file").files];
    $("file").value = ""; // the same file may be chosen again
    take(files);
  });
  $("webcam").addEventListener("click", () => (stream ? stopWebcam() : startWebcam()));
  $("webcam").hidden = !navigator.mediaDevices; // browsers give it to this machine's pages alone
  for (const button of document.querySelectorAll("[data-example]")) {
    button.addEventListener("click", () => {
      showExample(button.dataset.example).catch((error) => say(error.message, true));
    });
  }
  for (const button of document.querySelectorAll("[data-grow]")) {
    button.addEventListener("click", () => grow(Number(button.dataset.grow)));
  }
  addEventListener("dragover", (event) => {
    event.preventDefault();
    $("source").classList.add("over");
  });
  addEventListener("dragleave", () => $("source").classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    $("source").classList.remove("over");
    if (event.dataTransfer.files.length) {
      take(event.dataTransfer.files);
      return;
    }
    shows += 1;
    say("That is no file. Save the picture and drop that, or copy and paste it.", true);
  });
  addEventListener("paste", (event) => take(event.clipboardData.files));
  addEventListener("resize", () => {
    if (!picture) return;
    draw(picture);
    showSize();
  });
  $("picture").addEventListener("keydown", squareKeys);
  listenToPointer();
}

async function start() {
  about = await (await request("model")).json();
  sizes = [Math.max(8, about.smallest_pixels)];
  while (sizes.at(-1) < 100) {
    const last = sizes.at(-1);
    sizes.push(Math.min(100, Math.max(last + 1, Math.round(1.06 * last))));
  }
  $("size").max = $("size").value = sizes.length - 1;
  $("grey").hidden = !about.plain;
  $("measured").hidden = !about.expected_accuracy.pixels.length;
  $("model").textContent = `Model: ${about.name}. `;
  if (about.model_card) {
    const link = document.createElement("a");
    [link.href, link.textContent] = [about.model_card, "Its accuracy by size and class"];
    $("model").append(link, ".");
  }
  $("licence").textContent = `Licence of the weights: ${about.licence}.`;
  if (!about.local && !["localhost", "127.0.0.1", "[::1]"].includes(location.hostname)) {
    $("privacy").textContent = `Pictures go to ${location.hostname}, where nothing is stored.`;
  }
  $("bars").replaceChildren(...about.class_names.map((name) => {
    const item = document.createElement("li");
    const [title, bar, share] = ["span", "span", "span"].map((kind) => document.createElement(kind));
    title.textContent = title.title = name;
    bar.append(document.createElement("i"));
    item.append(title, bar, share);
    return item;
  }));
  listen();
  await showExample("examples/photograph.jpg");
}

start().catch((error) => say(error.message, true));

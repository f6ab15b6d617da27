// The expression network of @vladmandic/face-api, for benchmarks/peers.py. In a folder of its own:
//
//     npm install @vladmandic/face-api@1.7.15 @tensorflow/tfjs @tensorflow/tfjs-backend-wasm
//     node peer_face_api.mjs < requests
//
// A request is two little-endian uint32, faces and pixels, and that many faces as RGB bytes. Its
// answer is a line of JSON: the labels, and the processor seconds they took. face-api enlarges the
// faces itself; its detector is not asked. A request for 0 faces is one square picture of that many
// pixels, in which its default detector looks for faces: their boxes, and the labels.

import {createRequire} from "node:module";
import {cwd, cpuUsage} from "node:process";

const here = createRequire(`${cwd()}/`);
here("@tensorflow/tfjs");
here("@tensorflow/tfjs-backend-wasm").setWasmPaths("node_modules/@tensorflow/tfjs-backend-wasm/dist/");
const {tf, nets, detectAllFaces} = here("@vladmandic/face-api/dist/face-api.node-wasm.js");
const network = nets.faceExpressionNet;
await tf.setBackend("wasm");
await network.loadFromDisk("node_modules/@vladmandic/face-api/model");
await nets.ssdMobilenetv1.loadFromDisk("node_modules/@vladmandic/face-api/model");

async function labels(bytes, faces, pixels) {
  const batch = tf.tensor4d(bytes, [faces, pixels, pixels, 3], "int32");
  const apart = tf.unstack(batch);
  const shares = [await network.predictExpressions(apart)].flat();
  tf.dispose([batch, apart]);
  return shares.map((one) => one.asSortedArray()[0].expression);
}

async function found(bytes, pixels) {
  const picture = tf.tensor3d(bytes, [pixels, pixels, 3], "int32");
  const faces = await detectAllFaces(picture).withFaceExpressions();
  tf.dispose(picture);
  return {
    boxes: faces.map(({detection: {box: {left, top, right, bottom}}}) => [left, top, right, bottom]),
    labels: faces.map(({expressions}) => expressions.asSortedArray()[0].expression),
  };
}

let held = Buffer.alloc(0);
for await (const chunk of process.stdin) {
  held = Buffer.concat([held, chunk]);
  while (held.length >= 8) {
    const [faces, pixels] = [held.readUInt32LE(0), held.readUInt32LE(4)];
    const end = 8 + Math.max(1, faces) * pixels * pixels * 3;
    if (held.length < end) break;
    const bytes = held.subarray(8, end);
    const before = cpuUsage();
    const answer = faces ? {labels: await labels(bytes, faces, pixels)} : await found(bytes, pixels);
    const {user, system} = cpuUsage(before);
    console.log(JSON.stringify({...answer, seconds: (user + system) / 1e6}));
    held = held.subarray(end);
  }
}

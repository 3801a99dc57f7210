// The video view: the camera or a file, painted live.

import { $, announce, save } from "./dom.js";
import { engine } from "./engine.js";
import { complain, fail } from "./failures.js";
import { stem } from "./pictures.js";
import { state } from "./state.js";
import { styleArguments } from "./styles.js";

const input = $("#video-in");
const output = $("#video-out");
const context = output.getContext("2d");
let stream = null;
let name = "video";
let size = null;
let frames = []; // times of the last frames
let milliseconds = 0;
/** The newest run of the loop; an older one ends when it sees another. */
let run = 0;
let recorder = null;
let shownAt = 0;

export function setup() {
  $("#camera").addEventListener("click", useCamera);
  $("#video-file").addEventListener("change", ({ target }) => {
    const [file] = target.files;
    target.value = "";
    if (file) openVideo(file);
  });
  $("#video-stop").addEventListener("click", stop);
  $("#video-pause").addEventListener("click", pause);
  $("#record").addEventListener("click", record);
  for (const id of ["video-size", "steady"]) $(`#${id}`).addEventListener("change", () => playing() && begin());
  state.addEventListener("change", async ({ detail }) => {
    if (detail.has("view") && state.view !== "video") return stop();
    if (!playing()) return;
    if (detail.has("model")) return begin();
    if (!detail.has("styles") && !detail.has("alpha")) return;
    try {
      await engine.call("liveSet", { styles: await styleArguments(), alpha: state.alpha });
    } catch (error) {
      fail(error, { what: "The style was not changed", retry: begin });
    }
  });
}

const playing = () => size !== null;

async function useCamera() {
  try {
    if (!navigator.mediaDevices) throw new Error("This browser gives no camera to this page. Open it over https or on localhost.");
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: "user" }, audio: false });
  } catch (error) {
    const denied = error.name === "NotAllowedError";
    const text = denied ? "The camera was not allowed. Allow it in the browser’s address bar, then try again." : error.name === "NotFoundError" ? "No camera was found. Connect one, or open a video file." : error.message;
    return complain("The camera was not opened", text, { retry: denied ? useCamera : undefined });
  }
  name = "camera";
  input.srcObject = stream;
  output.classList.add("mirrored");
  await play();
}

export async function openVideo(file) {
  stopStream();
  name = stem(file.name);
  input.srcObject = null;
  URL.revokeObjectURL(input.src);
  input.src = URL.createObjectURL(file);
  output.classList.remove("mirrored");
  await play();
}

async function play() {
  try {
    await input.play();
  } catch {
    stopStream();
    return complain("The video was not opened", `${name} is not a video that this browser can play. MP4 (H.264) and WebM work.`);
  }
  await begin();
}

/** Starts the engine's live painter at the chosen size, and the loop. */
export async function begin() {
  const mine = ++run;
  const long = Number($("#video-size").value);
  const scale = long / Math.max(input.videoWidth, input.videoHeight);
  size = { width: Math.max(8, Math.round(input.videoWidth * scale)), height: Math.max(8, Math.round(input.videoHeight * scale)) };
  $("#video-stage").dataset.state = "working";
  $("#video-bar").hidden = output.hidden = false;
  $("#video-facts").textContent = "Preparing the net";
  try {
    await engine.call("liveStart", {
      ...size, model: state.model, styles: await styleArguments(), alpha: state.alpha,
      ...($("#steady").checked ? { steady: { statistics: 0.9, history: 0 } } : {}),
    });
    frames = [];
    announce("The video is painted live.");
    await loop(mine);
  } catch (error) {
    if (mine !== run) return;
    stop();
    fail(error, { what: "The video was not painted", retry: () => (name === "camera" ? useCamera() : play()) });
  }
}

const nextFrame = () => new Promise(resolve => {
  if (input.requestVideoFrameCallback) {
    input.requestVideoFrameCallback(resolve);
    setTimeout(resolve, 250); // a hidden video may give no frames
  } else requestAnimationFrame(resolve);
});

async function loop(mine) {
  let old = null;
  while (mine === run) {
    if (input.paused) {
      await nextFrame();
      continue;
    }
    if (old === input.currentTime && stream === null) await nextFrame();
    old = input.currentTime;
    const frame = await createImageBitmap(input, { resizeWidth: size.width, resizeHeight: size.height, resizeQuality: "medium" });
    const painted = await engine.call("livePaint", { frame }, { transfer: [frame] });
    if (mine !== run || !painted) {
      painted?.bitmap.close();
      continue;
    }
    show(painted);
  }
}

function show({ bitmap, milliseconds: time }) {
  if (output.width !== bitmap.width || output.height !== bitmap.height) {
    output.width = bitmap.width;
    output.height = bitmap.height;
    $("#video-stage").style.setProperty("--ratio", bitmap.width / bitmap.height);
  }
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const now = performance.now();
  frames = [...frames.filter((at, i) => now - at < 3000 || i === frames.length - 1), now];
  milliseconds = milliseconds ? 0.9 * milliseconds + 0.1 * time : time;
  if (now - shownAt < 500 || frames.length < 2) return;
  shownAt = now;
  const rate = (frames.length - 1) / ((now - frames[0]) / 1000);
  const length = recorder ? `, recording ${Math.round((now - recorder.began) / 1000)} s` : "";
  $("#video-facts").textContent = `${output.width} × ${output.height} px, ${rate.toFixed(rate < 10 ? 1 : 0)} fps, ${milliseconds.toFixed(0)} ms a frame${length}`;
}

function pause() {
  const paused = !input.paused;
  if (paused) input.pause();
  else input.play();
  $("#video-pause").setAttribute("aria-pressed", paused);
  $("#video-pause").textContent = paused ? "Continue" : "Pause";
}

function record() {
  if (recorder) return recorder.stop();
  const type = ["video/mp4;codecs=avc1", "video/webm;codecs=vp9", "video/webm"].find(type => globalThis.MediaRecorder?.isTypeSupported(type));
  if (!type) return complain("Nothing was recorded", "This browser cannot record a canvas.");
  const parts = [];
  recorder = new MediaRecorder(output.captureStream(), { mimeType: type, videoBitsPerSecond: 8_000_000 });
  recorder.began = performance.now();
  recorder.ondataavailable = ({ data }) => parts.push(data);
  recorder.onstop = () => {
    recorder = null;
    recording(false);
    save(new Blob(parts, { type }), `${name}-painted.${type.includes("mp4") ? "mp4" : "webm"}`);
    announce("The recording was saved.");
  };
  recorder.start(1000);
  recording(true);
}

function recording(on) {
  $("#record").setAttribute("aria-pressed", on);
  $("#record").textContent = on ? "Stop and save" : "Record";
}

function stopStream() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
}

/** Ends the video, the recording and the live painter. */
export function stop() {
  if (!playing()) return;
  run++;
  size = null;
  if (recorder) recorder.stop();
  input.pause();
  stopStream();
  input.srcObject = null;
  $("#video-pause").setAttribute("aria-pressed", "false");
  $("#video-pause").textContent = "Pause";
  $("#video-stage").dataset.state = "empty";
  $("#video-bar").hidden = output.hidden = true;
  engine.call("liveStop", {}).catch(() => {});
}

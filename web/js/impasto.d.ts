/** Whatever the browser can draw. A Blob is decoded by the browser, turned upright and converted to sRGB. */
export type Source =
  | Blob | ImageBitmap | ImageData | HTMLImageElement | HTMLCanvasElement | OffscreenCanvas | HTMLVideoElement
  | VideoFrame;

/** The red channel, 0 to 255, is where something applies; on black where it is transparent. Any size: it is stretched. */
export type Mask = ImageData | ImageBitmap;

export type Code =
  | "no-webgpu" | "no-adapter" | "limits" | "memory" | "device-lost" | "bad-picture" | "bad-net" | "bad-argument"
  | "too-large" | "internal";

/** The message names the thing and the way out. */
export class ImpastoError extends Error {
  readonly code: Code;
}

export interface Model {
  name: string;
  title: string;
  /** adain: any style, from pictures. net: one style. body: many styles, by name. */
  kind: "adain" | "net" | "body";
  /** Names of the styles of a body. */
  styles: string[];
  /** Bytes of its files. */
  bytes: number;
  loaded: boolean;
}

export interface Style {
  /** AdaIN: the style picture. */
  source?: Source;
  /** Body: the name of the style. */
  name?: string;
  /** Share in a mixture, from 0 up; default 1. */
  weight?: number;
  /** Where it applies. Styles without a mask share what the masks leave. */
  mask?: Mask;
}

export interface Cancel {
  /** Aborting it ends the work with a DOMException called AbortError. */
  signal?: AbortSignal;
}

export interface Step {
  /** Evaluations or steps so far, and their maximum. */
  step: number;
  steps: number;
  /** The sum of the next three, as they are weighted. */
  loss: number;
  content: number;
  style: number;
  variation: number;
}

export interface Device {
  name: string;
  vendor: string;
  backend: "webgpu";
  kernels: "tiled" | "broadcast";
  /** Whether it is a processor that emulates a GPU. */
  software: boolean;
  /** By wgpu's names. */
  features: string[];
  limits: Record<string, number>;
  /** Of the library. */
  version: string;
}

export interface Dispatch {
  index: number;
  /** File, entry point and constants. */
  kernel: string;
  entry: string;
  /** What it computes. */
  label: string;
  workgroups: [number, number, number];
  /** Floating-point operations that the mathematics needs; `performed` are those of the kernel. */
  flop: number;
  performed: number;
  /** Of the tensors that it reads and writes. */
  bytes: number;
  /** Time on the device, with `timed`; and the clock that measured it. */
  seconds?: number;
  clock?: "timestamps" | "wall clock";
}

export interface Report {
  ok: boolean;
  cases: {
    name: string;
    ok: boolean;
    /** Largest error relative to the largest right value; null if there is no finite result. */
    error: number | null;
    tolerance: number | null;
    /** What is wrong. */
    fault: string | null;
    kernels: string[];
  }[];
  seconds: number;
  device: Device;
  version: string;
}

/** Frames of one size, painted from texture to texture. */
export class Live {
  readonly width: number;
  readonly height: number;
  /** Paints a frame, which is stretched to the size, into a canvas that has no other kind of context. */
  paint(frame: Source, into: HTMLCanvasElement | OffscreenCanvas): Promise<void>;
  /** Weights and alpha cost nothing; new style pictures are measured. */
  set(settings: { styles?: Style[]; alpha?: number }): Promise<void>;
  resize(width: number, height: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * A GPU with nets. Methods may be called at any time; their work runs one after the other. Without a page, in a worker,
 * everything is the same.
 */
export class Impasto {
  private constructor();

  /**
   * `wasm`: where impasto_engine_bg.wasm is, by default beside impasto.js. `nets`: the folder of the nets, relative to
   * the page (default "./nets/"), or null for none.
   */
  static create(options?: {
    wasm?: URL | Response | BufferSource;
    nets?: string | URL | null;
    powerPreference?: "low-power" | "high-performance";
  }): Promise<Impasto>;

  readonly device: Device;
  /** The device that everything runs on, to be shared with other WebGPU code. */
  readonly gpuDevice: GPUDevice;

  models(): Model[];

  /** Fetches a net, which stays in the browser's cache. Methods load what they need, too. */
  load(name: string, options?: { onProgress?(done: number, total: number): void } & Cancel): Promise<void>;

  /** Adds a feed-forward net or a body (.safetensors), or a style of a body that is loaded (.style). */
  addModel(name: string, bytes: ArrayBuffer): Model;

  /** Repaints a photo at its own size, in windows if it needs more memory than `maxMemory`. */
  stylize(photo: Source, options: {
    model: string;
    styles?: Style[];
    /** Strength, 0 to 1; default 1. */
    alpha?: number;
    /** AdaIN: width of the strokes relative to the default, above 0. Pictures above 683 px have several widths. */
    strokes?: number;
    /** Whether the colours of the photo are kept: its chrominance, or (AdaIN) their mean and covariance. */
    keepColors?: boolean | "luminance" | "match";
    /** Where the photo is painted at all. */
    mask?: Mask;
    /** Device memory in MiB; default 2048. */
    maxMemory?: number;
    /** Largest side of a window in pixels; default: as large as the memory allows. */
    window?: number;
    /** Windows before each window, and their number; they begin anew with each pass over the photo. */
    onProgress?(done: number, total: number): void;
  } & Cancel): Promise<ImageData>;

  live(options: {
    width: number;
    height: number;
    model: string;
    styles?: Style[];
    alpha?: number;
    /** Shares of earlier frames, 0 to below 1: in the statistics of the norms, and in the pixels (default 0 each). */
    steady?: { statistics?: number; history?: number };
  } & Cancel): Promise<Live>;

  /** Gatys' method: optimises the pixels. `every`: steps between two pictures. */
  gatys(photo: Source, options: {
    styles: { source: Source; weight?: number }[];
    /** Long side of the result in pixels; default that of the photo, at most 512. */
    size?: number;
    /** Evaluations of the loss at each scale; default 100. Below 256 px there is one scale. */
    steps?: number;
    initial?: "photo" | "noise";
    /** Default 30. */
    styleWeight?: number;
    optimizer?: "adam" | "lbfgs";
    maxMemory?: number;
    every?: number;
    onStep?(step: Step & { picture?: ImageData }): void;
  } & Cancel): Promise<ImageData>;

  /** Trains a style of a body: the scales and shifts of its norms. Gives a .style file. */
  train(painting: Source, photos: Source[], options: {
    name: string;
    /** Default "impressions". */
    body?: string;
    /** Default 150. */
    steps?: number;
    /** Side of the crops in pixels; default 96. */
    size?: number;
    /** Photos of a step; default 4. */
    batch?: number;
    onStep?(step: Step): void;
  } & Cancel): Promise<ArrayBuffer>;

  /** What a picture of that size takes. */
  dispatches(options: { model: string; width: number; height: number; timed?: boolean } & Cancel): Promise<Dispatch[]>;

  /** A kernel of the last list of dispatches: what the browser gets, and as it is written. */
  shader(kernel: string | number): Promise<{ kernel: string; wgsl: string; source: string }>;

  /** Measured limits of the adapter: f32 operations per second, and bytes copied per second. */
  roof(options?: Cancel): Promise<{ flops: number; bytes: number }>;

  /** Known answers of every kernel, and a small picture of each net of the folder that is loaded. */
  doctor(options?: {
    /** Words in the names of the groups of cases to check, such as "Gram" or "pictures"; default: all. */
    groups?: string[];
    onProgress?(done: number, total: number): void;
  } & Cancel): Promise<Report>;

  /** Bytes of the buffers on the device, and of the engine's memory. */
  memory(): { device: number; wasm: number };

  /** Ends the device. */
  destroy(): void;
}

/** What the server says and is told, and what the parts of the page hand to one another. */

/** A picture or mask that the server keeps under the hash of its bytes. */
export interface Input {
  sha256: string;
  width: number;
  height: number;
}

/** One wish for pictures; what is null is left to the model. Mirrors `sfumato.Request`. */
export interface Wish {
  prompt: string;
  negative: string;
  template: string;
  negative_template: string;
  seed: string | null;
  steps: number | null;
  guidance: number | null;
  rescale: number;
  interval: number[] | null;
  guidance_rule: string;
  apg_along: number;
  apg_longest: number;
  zero_steps: number;
  sampler: string | null;
  schedule: string | null;
  sigmas: number[] | null;
  width: number | null;
  height: number | null;
  count: number;
  wander: boolean;
  path_seed: string | null;
  variation_seed: string | null;
  variation_strength: number | null;
  seed_width: number | null;
  seed_height: number | null;
  like: string;
  stream: string | null;
  step_noise: string | null;
  sde_noise: string | null;
  first_noise: string | null;
  whole_times: boolean | null;
  discard_penultimate: boolean | null;
  strength_steps: string | null;
  weighting: string | null;
  rounding: string | null;
  clip_skip: number;
  embeddings: { name: string; sha256: string }[] | null;
  model: string | null;
  image: Input | null;
  strength: number | null;
  fit: string;
  mask: Input | null;
  mask_blur: number;
  mask_fill: string;
  mask_padding: number | null;
  mask_invert: boolean;
}

export interface Picture {
  id: string;
  job: string | null;
  number: number;
  created: number;
  width: number;
  height: number;
  prompt: string;
  negative: string;
  seed: string | null;
  model: string;
  sampler: string;
  schedule: string;
  steps: number | null;
  guidance: number | null;
  source: string;
  favourite: boolean;
  tags: string[];
  trashed: number | null;
  urls: { file: string; thumb: string };
  frames: number;
}

export type JobState = "queued" | "running" | "done" | "failed" | "cancelled";

export interface Job {
  id: string;
  state: JobState;
  created: number;
  started: number | null;
  finished: number | null;
  position: number;
  request: Wish;
  picture: number;
  count: number;
  step: number;
  steps: number;
  seconds_left: number | null;
  error: string;
  tags: string[];
  pictures: Picture[];
}

export interface StepEvent {
  job: string;
  picture: number;
  step: number;
  steps: number;
  sigma: number;
  seconds_left: number | null;
  sketch: string;
  preview: string | null;
}

export interface Defaults {
  steps: number;
  guidance: number;
  sampler: string;
  schedule: string;
  width: number;
  height: number;
  distilled: number | null;
  multiple: number;
  largest: number;
}

export interface Model {
  name: string;
  title: string;
  family: string;
  default: boolean;
  bundled: boolean;
  defaults: Defaults | null;
}

export interface Method {
  name: string;
  title: string;
  stochastic?: boolean;
  cost?: number;
  summary?: string;
}

export interface Methods {
  samplers: Method[];
  schedules: Method[];
}

export interface About {
  name: string;
  version: string;
  model: string;
  device: string;
  precision: string;
  ready: boolean;
  limits: Record<string, number>;
  login: boolean;
}

export interface Reading {
  request: Partial<Wish>;
  recipe: Record<string, unknown> | null;
  parameters: string;
  unread: Record<string, unknown>;
  exact: boolean;
}

export interface Calls {
  command: string;
  python: string;
  http: string;
}

export interface SheetAxis {
  field: string;
  needle: string | null;
  values: string[];
}

export interface SheetHead {
  id: string;
  created: number;
  request: Wish;
  axes: SheetAxis[];
  count: number;
  ended: number;
}

export interface Cell {
  place: [number, number, number];
  job: string;
  state: JobState;
  error: string;
  picture: Picture | null;
}

export interface Sheet extends SheetHead {
  cells: Cell[];
}

export interface Ladder {
  sampler: string;
  recommended: number | null;
  settled: boolean;
  headline: string;
  reason: string;
  advice: string[];
  same: number;
  near: number;
  rungs: { steps: number; seconds: number; changes: number[] }[];
}

export interface Verdict {
  equal: boolean;
  words: string;
  reasons: string[];
  picture: string;
}

export interface Why {
  summary: string;
  reasons: { field: string; a: unknown; b: unknown; does: string }[];
}

export interface PicturePage {
  pictures: Picture[];
  cursor: string | null;
  total: number;
}

/** What the page remembers beside the wish. */
export interface Habits {
  theme: "system" | "light" | "dark";
  explain: boolean;
  locked: boolean;
  more: boolean;
  previews: number;
}

export interface Store<T> {
  readonly value: Readonly<T>;
  set(patch: Partial<T>): void;
  subscribe(fn: (value: Readonly<T>, changed: (keyof T)[]) => void): () => void;
}

/** What the server offers, read once when the page opens. */
export interface Facts {
  about: About;
  models: Model[];
  methods: Methods;
}

export interface Link {
  on<K extends keyof LinkEvents>(name: K, fn: (data: LinkEvents[K]) => void): () => void;
  open(): void;
}

export interface LinkEvents {
  job: Job;
  step: StepEvent;
  picture: Picture;
  library: { id: string };
  up: null;
  down: null;
}

/** Jobs that wait or run, and what was seen of them. */
export interface Queue {
  active(): Job[];
  job(id: string): Job | undefined;
  /** How many are painted before this one. */
  before(id: string): number;
  sketches(job: string, picture: number): string[];
  paint(wish: Wish): Promise<Job>;
  cancel(id: string): Promise<void>;
  subscribe(fn: (job: Job) => void): () => void;
}

export interface Pictures {
  known(id: string): Picture | undefined;
  learn(picture: Picture): void;
  /** Learn one that is new here, and tell all who show pictures. */
  add(picture: Picture): void;
  favourite(id: string, on: boolean): Promise<void>;
  tag(id: string, tags: string[]): Promise<void>;
  trash(ids: string[]): Promise<void>;
  restore(ids: string[]): Promise<void>;
  /** The known ones that are in the trash. */
  trashed(): string[];
  /** They are no more; what the server tells of them concerns nobody. */
  forget(ids: string[]): void;
  reading(picture: Picture): Promise<Reading>;
  subscribe(fn: (picture: Picture) => void): () => void;
}

export interface Panel {
  load(wish: Partial<Wish>): void;
  paint(): Promise<void>;
  focus(): void;
}

export interface Stage {
  follow(job: Job): void;
  show(picture: Picture): void;
  current(): Picture | null;
}

export interface Gallery {
  open(): void;
  /** The picture waits for another to be compared with. */
  choose(picture: Picture): void;
  /** Puts the cursor into the search. */
  search(): void;
}

/** The parts of the page, made once in main.js; each gets this and uses what it needs. */
export interface App {
  facts: Facts;
  wish: Store<Wish>;
  habits: Store<Habits>;
  link: Link;
  queue: Queue;
  pictures: Pictures;
  panel: Panel;
  stage: Stage;
  go(view: "paint" | "gallery"): void;
  chooseToCompare(picture: Picture): void;
  searchGallery(): void;
}

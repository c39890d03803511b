/** What the server says and is told, and what the parts of the page hand to one another. */

/** A picture or mask that the server keeps under the hash of its bytes. */
export interface Input {
  sha256: string;
  width: number;
  height: number;
}

/** A learnt word, and the file that it was heard from. */
export interface Learnt {
  name: string;
  sha256: string;
}

/**
 * One wish for pictures; what is null is left to the model. It has every field that `GET /api/fields`
 * tells, also those that no module here knows by name.
 */
export interface Wish {
  prompt: string;
  negative: string;
  template: string;
  negative_template: string;
  seed: string | null;
  steps: number | null;
  guidance: number | null;
  sampler: string | null;
  schedule: string | null;
  sigmas: number[] | null;
  width: number | null;
  height: number | null;
  count: number;
  wander: boolean;
  path_seed: string | null;
  variation_strength: number | null;
  weighting: string | null;
  embeddings: Learnt[] | null;
  model: string | null;
  upscale: number | null;
  image: Input | null;
  mask: Input | null;
  [field: string]: unknown;
}

/** A field of a request, as the server tells it. */
export interface FieldFact {
  name: string;
  kind: "text" | "name" | "whole" | "real" | "flag" | "choice" | "reals" | "wholes" | "names" | "seed" | "other";
  about: string;
  usual: unknown;
  open: boolean;
  least: number | null;
  most: number | null;
  choices: (string | number)[];
  needs: { field: string; value: unknown } | null;
  follows: string | null;
}

/** What a request may say. */
export interface Form {
  readonly rows: readonly FieldFact[];
  /** A wish that says nothing. */
  readonly blank: Readonly<Wish>;
  row(name: string): FieldFact | undefined;
  /** Whether the wish says something in this field. */
  said(name: string, wish: Readonly<Wish>): boolean;
  /** Whether what this field needs is there; else it has no effect, and is not sent. */
  heeded(name: string, wish: Readonly<Wish>): boolean;
  /** What changes in a wish when somebody gives a field this value. */
  changed(name: string, value: unknown, wish: Readonly<Wish>): Partial<Wish>;
  /** The wish as the server takes it: inputs by their hash, and nothing that is left to the model. */
  request(wish: Readonly<Wish>): Record<string, unknown>;
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

/** One text of a prompt, heard from a step on, as its encoders read it. */
export interface Heard {
  what: "prompt" | "negative";
  step: number;
  text: string;
  weight: number;
  encoders: string[];
  chunks: { tokens: { text: string; id: number; weight: number; ends: boolean; learnt: boolean }[]; room: number }[];
  beyond: string;
  unknown: string[];
  count: number;
}

export interface Tokens {
  model: string;
  embeddings: Record<string, number>;
  heard: Heard[];
  networks: string[];
  unread: string[];
  strange: string[];
  absent: string[];
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
  rest: boolean;
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
  fields: FieldFact[];
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
  form: Form;
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

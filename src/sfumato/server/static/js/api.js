/** The routes of the native API, one function each. */

/** @import {About, Calls, Input, Job, Methods, FieldFact, Model, Picture, PicturePage, Reading, Ladder, Sheet, SheetHead, Tokens, Verdict, Why} from "./types" */

/** What the server refused: `field` is the control it speaks of, "" where it names none. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {number} status 0 where the server could not be reached
   * @param {string} field
   */
  constructor(message, status, field = "") {
    super(message);
    this.status = status;
    this.field = field;
  }
}

/**
 * @param {string} method
 * @param {string} path
 * @param {{json?: unknown, bytes?: Blob, headers?: Record<string, string>}} [body]
 * @returns {Promise<any>}
 */
async function call(method, path, { json, bytes, headers = {} } = {}) {
  const sent = { ...headers };
  if (json !== undefined) sent["Content-Type"] = "application/json";
  else if (bytes) sent["Content-Type"] = bytes.type || "application/octet-stream";
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: sent,
      body: json !== undefined ? JSON.stringify(json) : bytes,
    });
  } catch {
    throw new ApiError("The server does not answer. Is it still running?", 0);
  }
  if (answer.status === 401) location.assign("login");
  const said = await answer.json().catch(() => null);
  if (answer.ok) return said;
  const { message = `The server answered ${answer.status}.`, field = "" } = said?.error ?? {};
  throw new ApiError(message, answer.status, field ?? "");
}

/** A key that no other request has; also where the page is not served securely. */
function freshKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @typedef {Record<string, unknown>} Sent a request, as `Form.request` makes it */

/** @param {string} id */
const at = (id) => `api/pictures/${encodeURIComponent(id)}`;

export const api = {
  /** @returns {Promise<About>} */
  about: () => call("GET", "api/about"),
  /** @returns {Promise<Model[]>} */
  models: () => call("GET", "api/models"),
  /** @returns {Promise<Methods>} */
  samplers: () => call("GET", "api/samplers"),
  /** @returns {Promise<FieldFact[]>} */
  fields: () => call("GET", "api/fields"),

  /** @param {Sent} request @param {{previews?: number}} how @returns {Promise<{job: Job, joined: boolean}>} */
  submit: (request, how) =>
    call("POST", "api/jobs", {
      json: { request, ...how },
      headers: { "Idempotency-Key": freshKey() },
    }),
  /** @returns {Promise<{jobs: Job[]}>} */
  activeJobs: () => call("GET", "api/jobs?state=running&state=queued&limit=100"),
  /** @param {string} id @returns {Promise<{job: Job}>} */
  job: (id) => call("GET", `api/jobs/${encodeURIComponent(id)}`),
  /** @param {string} id @returns {Promise<{job: Job}>} */
  cancel: (id) => call("POST", `api/jobs/${encodeURIComponent(id)}/cancel`),

  /** @param {Sent} request @param {{x: string, y?: string, priority?: number}} how @returns {Promise<{sheet: Sheet}>} */
  submitSheet: (request, how) => call("POST", "api/sheets", { json: { request, ...how } }),
  /** @returns {Promise<{sheets: SheetHead[]}>} */
  sheets: () => call("GET", "api/sheets"),
  /** @param {string} id @returns {Promise<{sheet: Sheet}>} */
  sheet: (id) => call("GET", `api/sheets/${encodeURIComponent(id)}`),
  /** @param {string} id @returns {Promise<{ladder: Ladder | null}>} */
  ladder: (id) => call("GET", `api/sheets/${encodeURIComponent(id)}/ladder`),
  /** @param {string} id @returns {Promise<{job: Job}>} */
  verify: (id) => call("POST", `${at(id)}/verify`),
  /** @param {string} id @param {string} job @returns {Promise<{verdict: Verdict | null}>} */
  verdict: (id, job) => call("GET", `${at(id)}/verify/${encodeURIComponent(job)}`),
  /** @param {string} a @param {string} b @returns {Promise<Why>} */
  why: (a, b) => call("GET", `${at(a)}/why/${encodeURIComponent(b)}`),
  /** @param {string} id @returns {Promise<{sheet: Sheet}>} */
  cancelSheet: (id) => call("POST", `api/sheets/${encodeURIComponent(id)}/cancel`),
  /** @param {string} id @returns {Promise<{sheet: Sheet}>} */
  deleteSheet: (id) => call("DELETE", `api/sheets/${encodeURIComponent(id)}`),
  /** @param {string} id @param {number} z @returns {string} */
  sheetPicture: (id, z) => `api/sheets/${encodeURIComponent(id)}/picture?z=${z}`,

  /** @param {Record<string, string>} query @returns {Promise<PicturePage>} */
  search: (query) => call("GET", `api/pictures?${new URLSearchParams(query)}`),
  /** @param {string} id @returns {Promise<Picture>} */
  picture: (id) => call("GET", at(id)),
  /** @param {string} id @param {{favourite?: boolean, tags?: string[]}} patch @returns {Promise<Picture>} */
  change: (id, patch) => call("PATCH", at(id), { json: patch }),
  /** @param {string} id @returns {Promise<Picture>} */
  trash: (id) => call("DELETE", at(id)),
  /** @param {string} id @returns {Promise<Picture>} */
  restore: (id) => call("POST", `${at(id)}/restore`),
  /** @returns {Promise<{deleted: number}>} */
  emptyTrash: () => call("DELETE", "api/trash"),
  /** @param {string} a @param {string} b @returns {Promise<{fields: Record<string, [unknown, unknown]>}>} */
  diff: (a, b) => call("GET", `${at(a)}/diff/${encodeURIComponent(b)}`),
  /** @param {Blob} file @returns {Promise<Picture>} */
  keep: (file) => call("POST", "api/pictures", { bytes: file }),

  /** @param {Blob} file @param {"picture" | "mask"} kind @returns {Promise<Input>} */
  upload: (file, kind) => call("POST", `api/inputs?as=${kind}`, { bytes: file }),
  /** @param {Blob} file @returns {Promise<Reading>} */
  read: (file) => call("POST", "api/read", { bytes: file }),
  /** @param {Sent} request @returns {Promise<Calls>} */
  calls: (request) => call("POST", "api/calls", { json: { request } }),
  /** @param {Sent} request @returns {Promise<Tokens>} */
  tokens: (request) => call("POST", "api/tokens", { json: { request } }),

  /** @param {Picture} picture @param {number} k @returns {string} */
  frame: (picture, k) => `${at(picture.id)}/frames/${k}`,
  /** @param {Input} input @returns {string} */
  input: (input) => `api/inputs/${input.sha256}`,
};

/**
 * The bytes of one of our own pictures.
 * @param {string} url
 * @returns {Promise<Blob>}
 */
export async function bytesOf(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new ApiError("The picture's file cannot be read.", answer.status);
  return answer.blob();
}

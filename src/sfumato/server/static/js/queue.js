/** The jobs that wait or run: found again after a reload, kept up to date by the server's events. */

/** @import {Form, Habits, Job, Link, Pictures, Queue, Store} from "./types" */

import { api } from "./api.js";

const KEPT_SKETCHES = 64;
const KEPT_JOBS = 12;
const OVER = new Set(["done", "failed", "cancelled"]);

/** @param {Job} job */
export const isOver = (job) => OVER.has(job.state);

/**
 * @param {{form: Form, link: Link, pictures: Pictures, habits: Store<Habits>}} parts
 * @returns {Queue}
 */
export function makeQueue({ form, link, pictures, habits }) {
  /** @type {Map<string, Job>} the latest jobs, oldest first */
  const jobs = new Map();
  /** @type {Map<string, string[]>} "job/picture" -> a sketch for each step */
  const seen = new Map();
  /** @type {Set<(job: Job) => void>} */
  const listeners = new Set();

  /** @param {Job} job */
  function learn(job) {
    const known = jobs.get(job.id);
    // An answer that was on its way while an event overtook it knows less: what is over stays so.
    if (known && isOver(known) && !isOver(job)) return;
    jobs.set(job.id, job);
    job.pictures.forEach(pictures.learn);
    for (const [id, old] of jobs) {
      if (jobs.size <= KEPT_JOBS) break;
      if (isOver(old)) forget(id);
    }
    listeners.forEach((fn) => fn(job));
  }

  /** @param {string} id */
  function forget(id) {
    jobs.delete(id);
    for (const key of [...seen.keys()]) if (key.startsWith(`${id}/`)) seen.delete(key);
  }

  /** After a pause the events of which are lost: what runs now, and how what ran has ended. */
  async function catchUp() {
    const { jobs: active } = await api.activeJobs();
    const ids = new Set(active.map((job) => job.id));
    active.sort((a, b) => a.created - b.created).forEach(learn);
    for (const job of [...jobs.values()]) {
      if (!isOver(job) && !ids.has(job.id)) learn((await api.job(job.id)).job);
    }
  }

  link.on("up", () => void catchUp().catch(() => {}));
  link.on("job", learn);
  link.on("picture", (picture) => {
    pictures.learn(picture);
    const job = picture.job ? jobs.get(picture.job) : undefined;
    if (!job || job.pictures.some((known) => known.id === picture.id)) return;
    learn({ ...job, pictures: [...job.pictures, picture] });
  });
  link.on("step", (event) => {
    const key = `${event.job}/${event.picture}`;
    const trail = seen.get(key) ?? [];
    // A run that was taken up again may repeat a step: its place counts, not its turn.
    trail[event.step - 1] = event.preview ?? event.sketch;
    seen.set(key, trail.slice(0, KEPT_SKETCHES));
    const job = jobs.get(event.job);
    if (!job || isOver(job)) return;
    const { picture, step, steps, seconds_left } = event;
    learn({ ...job, state: "running", error: "", position: 0, picture, step, steps, seconds_left });
  });

  /** @type {Queue} */
  const queue = {
    active: () =>
      [...jobs.values()]
        .filter((job) => !isOver(job))
        .sort((a, b) => Number(b.state === "running") - Number(a.state === "running") || a.created - b.created),
    job: (id) => jobs.get(id),
    // The server tells a job's place when the job changes, not when those before it do.
    before: (id) => Math.max(0, queue.active().findIndex((job) => job.id === id)),
    sketches: (id, picture) => (seen.get(`${id}/${picture}`) ?? []).filter(Boolean),
    async paint(wish) {
      const { previews } = habits.value;
      const { job } = await api.submit(form.request(wish), previews ? { previews } : {});
      // Events may have been quicker than this answer, and know more.
      if (!jobs.has(job.id)) learn(job);
      return jobs.get(job.id) ?? job;
    },
    async cancel(id) {
      learn((await api.cancel(id)).job);
    },
    subscribe(fn) {
      listeners.add(fn);
      return () => listeners.delete(fn);
    },
  };
  return queue;
}

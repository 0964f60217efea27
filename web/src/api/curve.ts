import { api, unwrap } from "./client";
import type { Curve } from "./types";

/** A job's Q curve, of the teacher at a place. The endpoint has forms that are text (CSV, SVG); asked for like this it answers JSON. */
export const loadCurve = async (id: string, teacher = 0): Promise<Curve> =>
  (await unwrap(api.GET("/jobs/{job_id}/q-curve", { params: { path: { job_id: id }, query: teacher > 0 ? { teacher } : {} } }))) as Curve;

import { api, unwrap } from "./client";
import type { Curve } from "./types";

/** A job's Q curve. The endpoint has forms that are text (CSV, SVG); asked for like this it answers JSON. */
export const loadCurve = async (id: string): Promise<Curve> => (await unwrap(api.GET("/jobs/{job_id}/q-curve", { params: { path: { job_id: id } } }))) as Curve;

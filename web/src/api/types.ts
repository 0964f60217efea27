/** Short names for the generated types. Nothing here repeats a shape that OpenAPI has. */
import type { components } from "./schema";

type Schemas = components["schemas"];
export type Job = Schemas["JobOut"];
export type JobCreate = Schemas["JobCreate"];
export type DryRun = Schemas["DryRun"];
export type Curve = Schemas["CurveOut"];
export type CurvePoint = Schemas["CurvePointOut"];
export type JobEvent = Schemas["EventOut"];
export type LogLine = Schemas["LogOut"];
export type Attempt = Schemas["AttemptOut"];
export type Checkpoint = Schemas["CheckpointOut"];
export type Artifact = Schemas["ArtifactOut"];
export type Export = Schemas["ExportOut"];
export type Publication = Schemas["PublicationOut"];
export type Target = Schemas["TargetOut"];
export type Prediction = Schemas["PredictionOut"];
export type PredictionItem = Schemas["PredictionItem"];
export type Disagreement = Schemas["Disagreement"];
export type DisagreementPage = Schemas["DisagreementPage"];
export type Teacher = Schemas["TeacherOut"];
export type TeacherPreprocessing = Partial<Schemas["TeacherPreprocessing"]>;
export type Dataset = Schemas["DatasetOut"];
export type Architecture = Schemas["Architecture"];
export type ArchitectureEntry = Schemas["ArchitectureOut"];
export type Preset = Schemas["PresetOut"];
export type Catalogue = Schemas["CatalogueOut"];
export type Recipe = Schemas["RecipeOut"];
export type Task = Schemas["TaskOut"];
export type Metric = Schemas["TaskMetric"];
export type NamedSet = Schemas["NamedDatasetOut"];
export type Entry = Schemas["EntryOut"];
export type System = Schemas["SystemOut"];
export type Ready = Schemas["Ready"];
export type Problem = Schemas["ProblemDocument"];
export type Study = Schemas["StudyOut"];
export type StudyCreate = Schemas["StudyCreate"];
export type StudyDryRun = Schemas["StudyDryRun"];
export type StudyTable = Schemas["TableOut"];
export type StudyRow = Schemas["RowOut"];
export type Pareto = Schemas["ParetoOut"];
export type Figure = Schemas["FigureOut"];
export type FigureAxis = Schemas["FigureAxis"];
export type FigurePoint = Schemas["FigurePoint"];
export type FigureLine = Schemas["FigureLine"];
export type FigureLeftOut = Schemas["FigureLeftOut"];
export type Importance = Schemas["ImportanceOut"];
export type Status = Job["status"];

export const ACTIVE: readonly Status[] = ["queued", "running", "pausing", "paused", "stopping", "cancelling"];
/** Of studies too: their states are some of a job's. */
export const isActive = (status: Status): boolean => ACTIVE.includes(status);
/** Not ended, and no worker has it. */
export const waits = (status: Status): boolean => status === "queued" || status === "paused";

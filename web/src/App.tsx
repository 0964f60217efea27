import { type ReactNode, Suspense, lazy, useMemo } from "react";

import { Boundary } from "./components/Boundary";
import { DemoFollower } from "./components/DemoFollower";
import { Loading, Page } from "./components/Layout";
import { Shell } from "./components/Shell";
import { Toasts } from "./components/Toasts";
import { Tasks } from "./hooks/useTasks";
import { Compare } from "./pages/Compare";
import { Dataset } from "./pages/Dataset";
import { Datasets } from "./pages/Datasets";
import { Job } from "./pages/Job";
import { Jobs } from "./pages/Jobs";
import { NewJob } from "./pages/NewJob";
import { Studies } from "./pages/Studies";
import { System } from "./pages/System";
import { Teacher } from "./pages/Teacher";
import { Teachers } from "./pages/Teachers";
import { Link, match, usePlace } from "./router";

// Fetched when first looked at: they have plots and forms that no other page needs.
const NewStudy = lazy(() => import("./pages/NewStudy").then((found) => ({ default: found.NewStudy })));
const Study = lazy(() => import("./pages/Study").then((found) => ({ default: found.Study })));

type Route = [pattern: string, page: (found: Record<string, string>) => ReactNode];

const ROUTES: Route[] = [
  ["/", () => <Jobs />],
  ["/new", () => <NewJob />],
  ["/jobs/:id", ({ id = "" }) => <Job id={id} />],
  ["/studies", () => <Studies />],
  ["/studies/new", () => <NewStudy />],
  ["/studies/:id", ({ id = "" }) => <Study id={id} />],
  ["/compare", () => <Compare />],
  ["/datasets", () => <Datasets />],
  ["/datasets/:id", ({ id = "" }) => <Dataset id={id} />],
  ["/teachers", () => <Teachers />],
  ["/teachers/:id", ({ id = "" }) => <Teacher id={id} />],
  ["/system", () => <System />],
];

export function App() {
  const { path } = usePlace();
  const page = useMemo(() => {
    for (const [pattern, make] of ROUTES) {
      const found = match(pattern, path);
      if (found) return make(found);
    }
    return <Missing />;
  }, [path]);
  return (
    <Toasts>
      <Shell>
        <Tasks>
          <DemoFollower />
          <Boundary key={path}>
            <Suspense fallback={<Loading what="the page" />}>{page}</Suspense>
          </Boundary>
        </Tasks>
      </Shell>
    </Toasts>
  );
}

function Missing() {
  return (
    <Page title="There is no such page">
      <p>
        The address may be old. <Link to="/">All jobs</Link>
      </p>
    </Page>
  );
}

import { apiKey } from "../api/key";
import type { JobCreate } from "../api/types";
import { curlJob, pythonJob } from "../lib/snippets";
import { Copy } from "./Copy";
import { Tabs } from "./Tabs";

/** The same request for those who will automate it. */
export function Snippets({ body }: { body: JobCreate }) {
  const withKey = apiKey() !== "";
  const curl = curlJob(window.location.origin, body, withKey);
  const python = pythonJob(window.location.origin, body, withKey);
  return (
    <Tabs
      label="The same as a program"
      tabs={[
        { id: "curl", title: "curl", content: () => <Code text={curl} what="the curl command" /> },
        { id: "python", title: "Python", content: () => <Code text={python} what="the Python program" /> },
      ]}
    />
  );
}

function Code({ text, what }: { text: string; what: string }) {
  return (
    <div className="code">
      <Copy text={text} what={what} />
      <pre tabIndex={0}>{text}</pre>
    </div>
  );
}

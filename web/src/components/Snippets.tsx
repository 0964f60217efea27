import { apiKey } from "../api/key";
import { curlPost, pythonPost } from "../lib/snippets";
import { Copy } from "./Copy";
import { Tabs } from "./Tabs";

/** The same request for those who will automate it. */
export function Snippets({ body, noun = "job", path = "/jobs" }: { body: unknown; noun?: string; path?: string }) {
  const withKey = apiKey() !== "";
  const curl = curlPost(window.location.origin, path, body, withKey);
  const python = pythonPost(window.location.origin, noun, path, body, withKey);
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

import { Component, type ReactNode } from "react";

import { Problem } from "./Problem";

/** A defect of the dashboard is shown and confined to its page. */
export class Boundary extends Component<{ children: ReactNode }, { error: unknown }> {
  override state: { error: unknown } = { error: null };

  static getDerivedStateFromError(error: unknown): { error: unknown } {
    return { error };
  }

  override render(): ReactNode {
    if (this.state.error === null) return this.props.children;
    return <Problem error={this.state.error} onRetry={() => this.setState({ error: null })} />;
  }
}

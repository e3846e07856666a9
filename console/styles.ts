/** What all pages share. */
import { css } from "lit";

export const shared = css`
  :host {
    display: block;
  }
  h1 {
    font-size: 1.5rem;
    margin: 0 0 0.75rem;
  }
  h2 {
    font-size: 1.1rem;
    margin: 1.5rem 0 0.5rem;
  }
  a {
    color: var(--accent);
  }
  a[aria-current="page"] {
    color: var(--text);
    font-weight: 600;
    text-decoration: none;
  }
  .card {
    background: var(--surface);
    border: 1px solid var(--line);
    border-radius: 8px;
    padding: 1rem;
    overflow-x: auto;
    margin-bottom: 1rem;
  }
  .card > h2 {
    margin-top: 0;
  }
  .bar {
    display: flex;
    flex-wrap: wrap;
    gap: 0.75rem;
    align-items: end;
    margin-bottom: 0.75rem;
  }
  .muted {
    color: var(--muted);
  }
  table {
    border-collapse: collapse;
    width: 100%;
    font-variant-numeric: tabular-nums;
  }
  caption {
    text-align: left;
    color: var(--muted);
    padding-bottom: 0.5rem;
  }
  th,
  td {
    text-align: left;
    padding: 0.4rem 0.6rem;
    border-bottom: 1px solid var(--line);
    white-space: nowrap;
  }
  th {
    color: var(--muted);
    font-weight: 600;
  }
  th[scope="row"] {
    color: var(--text);
  }
  .card > :first-child {
    margin-top: 0;
  }
  .card > :last-child {
    margin-bottom: 0;
  }
  .card > table + .bar,
  .card > label + .bar {
    margin-top: 0.75rem;
  }
  [hidden] {
    display: none !important;
  }
  th.n,
  td.n {
    text-align: right;
  }
  button,
  select,
  input,
  textarea {
    font: inherit;
    color: inherit;
    background: var(--surface);
    border: 1px solid var(--muted);
    border-radius: 6px;
    padding: 0.35rem 0.7rem;
    min-height: 2.25rem;
    box-sizing: border-box;
  }
  button {
    cursor: pointer;
  }
  button.primary {
    background: var(--accent);
    color: var(--accent-text);
    border-color: var(--accent);
  }
  button:disabled {
    cursor: not-allowed;
    opacity: 0.55;
  }
  button.plain {
    border: 0;
    background: none;
    padding: 0 0.25rem;
    min-height: 1.5rem;
    min-width: 1.5rem;
  }
  :focus-visible {
    outline: 3px solid var(--accent);
    outline-offset: 2px;
  }
  label {
    display: grid;
    gap: 0.2rem;
    color: var(--muted);
  }
  label > * {
    color: var(--text);
  }
  fieldset {
    border: 1px solid var(--line);
    border-radius: 6px;
    margin: 0 0 0.75rem;
    min-width: 0;
  }
  .choices {
    display: grid;
    grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr));
    gap: 0.4rem 1rem;
    border: 1px solid var(--line);
    border-radius: 0.4rem;
    margin: 0.75rem 0;
  }
  .choices label {
    display: flex;
    align-items: center;
    gap: 0.5rem;
    color: var(--text);
  }
  .choices input {
    min-height: 0;
    flex: none;
  }
  th.text {
    white-space: normal;
    font-weight: normal;
  }
  .events {
    margin: 0;
    padding-left: 1.2em;
  }
  .events time {
    color: var(--muted);
    font-variant-numeric: tabular-nums;
  }
  .refused {
    color: var(--bad);
  }
  .error {
    border-left: 4px solid var(--bad);
    background: var(--surface);
    padding: 0.75rem 1rem;
    margin-bottom: 1rem;
  }
  .good {
    color: var(--good);
  }
  .warn {
    color: var(--warn);
  }
  .bad {
    color: var(--bad);
  }
  meter {
    width: 7rem;
    height: 0.8rem;
    vertical-align: middle;
  }
  code {
    font-family: ui-monospace, monospace;
    font-size: 0.85em;
  }
`;

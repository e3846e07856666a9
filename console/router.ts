/** Pages by address, with the browser's own URLPattern. */
export interface Route {
  pattern: URLPattern;
  render(params: Record<string, string>): unknown;
}

/** The first route that fits an address, rendered; undefined: none does. */
export function renderRoute(routes: readonly Route[], url: string): unknown {
  for (const route of routes) {
    const match = route.pattern.exec(url);
    if (match) return route.render(match.pathname.groups as Record<string, string>);
  }
  return undefined;
}

/** Goes to a page of the console without loading it anew; `replace` stays on the page with another state in its address. */
export function go(path: string, { replace = false } = {}): void {
  if (replace) history.replaceState(null, "", path);
  else history.pushState(null, "", path);
  globalThis.dispatchEvent(new CustomEvent("zy-route", { detail: { samePage: replace } }));
}

/** Links within the console become `go`. */
export function followLinks(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const anchor = event.composedPath().find((one): one is HTMLAnchorElement => one instanceof HTMLAnchorElement);
  if (!anchor || anchor.target || anchor.hasAttribute("download") || anchor.origin !== location.origin) return;
  if (/^\/(api|docs|metrics|openapi\.json|sign-in)(\/|$)/.test(anchor.pathname)) return;
  event.preventDefault();
  go(anchor.pathname + anchor.search);
}

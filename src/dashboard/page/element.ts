// Elements made and changed. Promises: whatever comes from outside becomes text, never markup; an element is touched only where it changes,
// so that focus, selection and screen readers are left alone.

type Attributes = Readonly<Record<string, string | boolean>>;

/** An element with attributes (`true`: there, `false`: not there) and children. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children);
  return made;
}

/** A button; what it does while it is busy is ignored. */
export function button(label: string, attributes: Attributes, act: () => void): HTMLButtonElement {
  const made = element('button', { type: 'button', class: 'button', ...attributes }, label);
  // Not disabled: that would take the focus away from whoever pressed it.
  made.addEventListener('click', () => {
    if (made.getAttribute('aria-disabled') !== 'true') act();
  });
  return made;
}

export function setBusy(target: HTMLButtonElement, isBusy: boolean): void {
  if (isBusy) target.setAttribute('aria-disabled', 'true');
  else target.removeAttribute('aria-disabled');
}

export function setText(target: Element, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

export function setAttribute(target: Element, name: string, value: string): void {
  if (target.getAttribute(name) !== value) target.setAttribute(name, value);
}

/** Whether something within has the focus, and is to be seen: what was hidden or taken out may keep it until the page is drawn. */
export function holdsFocus(target: Element): boolean {
  const { activeElement } = document;
  return (
    activeElement !== null &&
    activeElement !== target &&
    target.contains(activeElement) &&
    activeElement.checkVisibility()
  );
}

/** The element of the page with this id. */
export function byId<E extends HTMLElement = HTMLElement>(id: string, type: abstract new () => E): E {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no #${id}`);
  return found;
}

/** A name on one line, as it is: controls and what turns the direction of text around are shown as such. */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu, '\ufffd');
}

/** A path whose last name stands out. */
export function showPath(target: Element, path: string): void {
  const shown = visible(path);
  if (target.textContent === shown && target.firstChild !== null) return;
  const end = shown.lastIndexOf('/') + 1;
  const name = element('bdi', { class: 'name' }, shown.slice(end));
  target.replaceChildren(element('bdi', { class: 'folders' }, shown.slice(0, end)), name);
}

"""viser's page for everybody: names for what a screen reader could not name, colours that can be read, a phone's width.

Its controls come without labels in a few places (a slider, the number beside it, two icons), and its labels are a light
grey. What is added here names them by the label beside them, as they appear. Nothing of viser's own is changed.
"""

STYLE = """
label, label * { color: #495057 !important; }
[data-mantine-color-scheme=dark] label, [data-mantine-color-scheme=dark] label * { color: #ced4da !important; }
"""

SCRIPT = """
(() => {
  const beside = (element) => {
    for (let at = element.parentElement, steps = 0; at && steps < 8; at = at.parentElement, steps++) {
      const label = at.querySelector("label");
      if (label && label.innerText.trim()) return label.innerText.trim();
    }
    return "";
  };
  const name = (element, words) => { if (words) element.setAttribute("aria-label", words); };
  const named = (element) => element.getAttribute("aria-label") || element.innerText?.trim() || element.title;
  let folded = innerWidth >= 500;
  const mend = () => {
    document.documentElement.lang = "en";
    document.getElementById("root")?.setAttribute("role", "main");
    document.querySelectorAll("[role=slider]").forEach((e) => named(e) || name(e, beside(e)));
    document.querySelectorAll("input:not([type=hidden])").forEach((e) =>
      e.labels?.length || named(e) || name(e, beside(e)));
    document.querySelectorAll("button").forEach((e, n) => {
      if (named(e)) return;
      const input = e.closest(".mantine-NumberInput-wrapper");
      name(e, input ? "step" : ["commands", "settings of the viewer"][n] || "more");
    });
    if (!folded && document.querySelector("label")) {
      folded = true;
      const titles = [...document.querySelectorAll("div")].filter((e) => e.innerText === "Camera path");
      titles.find((e) => !e.children.length)?.click();
    }
  };
  let waiting = false;
  new MutationObserver(() => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => { waiting = false; mend(); }, 200);
  }).observe(document, { childList: true, subtree: true });
})();
"""


def mended(page: bytes) -> bytes:
    """The page with both, at the end of its head."""
    added = f"<style>{STYLE}</style><script>{SCRIPT}</script></head>".encode()
    return page.replace(b"</head>", added, 1)

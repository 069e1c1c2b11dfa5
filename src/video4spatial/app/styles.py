"""How the page looks: fonts of the system, light and dark, for a desktop and a phone."""

import gradio as gr

FONTS = ["system-ui", "sans-serif"]
MONO = ["ui-monospace", "monospace"]


def theme() -> gr.themes.Base:
    """A plain theme whose texts keep a contrast of 4.5 (WCAG AA) in light and dark."""
    base = gr.themes.Base(primary_hue="blue", neutral_hue="slate", font=FONTS, font_mono=MONO, radius_size="md")
    return base.set(
        body_text_color="#1f2430",
        body_text_color_dark="#e8e9ee",
        body_text_color_subdued="#4d5565",
        body_text_color_subdued_dark="#b3b9c6",
        block_label_text_color="#1f2430",
        block_label_text_color_dark="#e8e9ee",
        block_title_text_color="#1f2430",
        block_title_text_color_dark="#e8e9ee",
        block_info_text_color="#4d5565",
        block_info_text_color_dark="#b3b9c6",
        input_placeholder_color="#5d6474",
        input_placeholder_color_dark="#a3a9b7",
        button_primary_background_fill="#1d4ed8",
        button_primary_background_fill_hover="#1e40af",
        button_primary_background_fill_dark="#1d4ed8",
        button_primary_background_fill_hover_dark="#2563eb",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
        button_secondary_text_color="#1f2430",
        button_secondary_text_color_dark="#e8e9ee",
        link_text_color="#1d4ed8",
        link_text_color_dark="#93b4ff",
    )


CSS = """
.gradio-container { max-width: 84rem !important; margin: 0 auto; }
button[role="tab"].selected { color: var(--link-text-color) !important; }
.v4s-head h1 { font-size: 1.6rem; margin: .2rem 0; }
.v4s-head p, .v4s-facts { color: var(--body-text-color-subdued); margin: .1rem 0 .4rem; }
h2.v4s-title { font-size: 1.15rem; margin: .4rem 0 .2rem; }
.v4s-note { border-left: 4px solid var(--border-color-primary); padding: .35rem .7rem; margin: .3rem 0;
  background: var(--background-fill-secondary); overflow-wrap: anywhere; }
.v4s-good { border-color: #15803d; } .v4s-bad { border-color: #b91c1c; }
.v4s-progress label { display: block; } .v4s-progress progress { display: block; width: 100%; height: .8rem; }
.v4s-strip { display: flex; flex-wrap: wrap; gap: .3rem; margin: .4rem 0; }
.v4s-strip img { width: 7rem; max-width: 30%; border-radius: 4px; flex: 0 1 auto; }
.v4s-context img { width: 5.2rem; }
.v4s-card { border: 1px solid var(--border-color-primary); border-radius: 8px; padding: .8rem; margin: .7rem 0;
  background: var(--background-fill-primary); }
.v4s-card h3 { font-size: 1rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
.v4s-card h4 { font-size: .9rem; margin: .6rem 0 .2rem; }
.v4s-videos { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr)); gap: .7rem; }
.v4s-videos figure { margin: 0; } .v4s-videos video { width: 100%; border-radius: 6px; background: #000; }
.v4s-videos figcaption { font-size: .85rem; color: var(--body-text-color-subdued); }
.v4s-pair { display: grid; grid-template-columns: 1fr 1fr; gap: .5rem .7rem; }
.v4s-pair label { font-size: .85rem; min-width: 0; } .v4s-pair figure { margin: 0; min-width: 0; }
.v4s-pair select { display: block; width: 100%; padding: .4rem; border-radius: 6px; color: var(--body-text-color);
  background: var(--input-background-fill); border: 1px solid var(--border-color-primary); }
.v4s-pair video { width: 100%; border-radius: 6px; background: #000; }
.v4s-pair figcaption { font-size: .85rem; color: var(--body-text-color-subdued); overflow-wrap: anywhere; }
.v4s-row { display: flex; flex-wrap: wrap; gap: .5rem .9rem; align-items: center; margin: .6rem 0; }
.v4s-row button { border: 1px solid var(--border-color-primary); border-radius: 6px; padding: .4rem .7rem;
  background: var(--button-secondary-background-fill); color: var(--button-secondary-text-color); cursor: pointer; }
.v4s-row a { color: var(--link-text-color); text-decoration: underline; padding: .3rem 0; }
.v4s-card pre { overflow: auto; max-height: 20rem; font-size: .8rem; padding: .5rem;
  background: var(--background-fill-secondary); }
.v4s-table { overflow-x: auto; } .v4s-table table { border-collapse: collapse; font-size: .88rem; }
.v4s-table th, .v4s-table td { padding: .2rem .6rem; border-bottom: 1px solid var(--border-color-primary);
  text-align: left; }
:focus-visible { outline: 3px solid #2563eb !important; outline-offset: 2px; }
.dark :focus-visible { outline-color: #93b4ff !important; }
@media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important; } }
"""

SCRIPT = """
element.addEventListener('click', event => {
  const again = event.target.closest('button[data-again]');
  if (again) trigger('click', {ask: Number(again.dataset.again)});
  const play = event.target.closest('button[data-play]');
  if (play) for (const video of play.closest('article').querySelectorAll('video')) {
    video.currentTime = 0;
    video.play();
  }
});
"""
"""Buttons inside the cards of asks: "Same with another seed", and both videos from their start."""
